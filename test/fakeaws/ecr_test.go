package fakeaws_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

func userOf(t *testing.T, token *string) string {
	t.Helper()
	user, _ := loginOf(t, token)
	return user
}

func loginOf(t *testing.T, token *string) (user, password string) {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(aws.ToString(token))
	if err != nil {
		t.Fatal(err)
	}
	user, password, _ = strings.Cut(string(raw), ":")
	return user, password
}

func TestRegistryTokens(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	out, err := ecr.NewFromConfig(a.noRetries()).GetAuthorizationToken(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	given := out.AuthorizationData[0]
	if !aws.ToTime(given.ExpiresAt).Equal(epoch.Add(12*time.Hour)) || aws.ToString(given.ProxyEndpoint) != "https://111122223333.dkr.ecr.us-west-2.amazonaws.com" {
		t.Errorf("token until %s for %s", given.ExpiresAt, aws.ToString(given.ProxyEndpoint))
	}
	public := ecrpublic.NewFromConfig(a.noRetries(), func(o *ecrpublic.Options) { o.Region = "us-east-1" })
	publicOut, err := public.GetAuthorizationToken(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, privatePassword := loginOf(t, given.AuthorizationToken)
	_, publicPassword := loginOf(t, publicOut.AuthorizationData.AuthorizationToken)
	want := []fakeaws.RegistryToken{
		{Region: "us-west-2", Password: privatePassword, Expires: epoch.Add(12 * time.Hour)},
		{Password: publicPassword, Expires: epoch.Add(12 * time.Hour)},
	}
	if diff := cmp.Diff(want, a.RegistryTokens()); diff != "" || privatePassword == publicPassword {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

func TestRegistryPasswordCanBeFixed(t *testing.T) {
	a := newAccount(t, fakeaws.Options{RegistryPassword: "known to the registry"})
	out, err := ecr.NewFromConfig(a.noRetries()).GetAuthorizationToken(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if user, password := loginOf(t, out.AuthorizationData[0].AuthorizationToken); user != fakeaws.RegistryUser || password != "known to the registry" {
		t.Errorf("login %s:%s", user, password)
	}
}

func TestPublicTokensComeFromOneRegion(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	_, err := ecrpublic.NewFromConfig(a.noRetries()).GetAuthorizationToken(t.Context(), nil)
	wantError(t, err, "UnsupportedCommandException", "")
}

// Two services have an action of this name; a test must be able to hit either.
func TestTokensFailApart(t *testing.T) {
	a := newAccount(t, fakeaws.Options{Denied: []string{"ecr-public:GetAuthorizationToken"}})
	public := ecrpublic.NewFromConfig(a.noRetries(), func(o *ecrpublic.Options) { o.Region = "us-east-1" })
	if _, err := ecr.NewFromConfig(a.noRetries()).GetAuthorizationToken(t.Context(), nil); err != nil {
		t.Error(err)
	}
	_, err := public.GetAuthorizationToken(t.Context(), nil)
	wantError(t, err, "AccessDeniedException", "")
	if !strings.Contains(err.Error(), "to perform: ecr-public:GetAuthorizationToken") {
		t.Errorf("the refusal names another permission: %v", err)
	}
}
