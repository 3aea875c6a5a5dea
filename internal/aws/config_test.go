package aws_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/test/fakeaws"
)

// onlyEnv hides what the machine has of AWS configuration and sets these variables.
func onlyEnv(t *testing.T, environment map[string]string) {
	t.Helper()
	for _, name := range []string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	absent := filepath.Join(t.TempDir(), "absent")
	t.Setenv("AWS_CONFIG_FILE", absent)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", absent)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for name, value := range environment {
		t.Setenv(name, value)
	}
}

func TestIdentify(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{Region: "eu-central-1", AccountID: "444455556666"})
	onlyEnv(t, server.Env())
	// A bundle of its own, as behind a proxy: the SDK refuses it together with a plain HTTP client.
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, []byte(certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	cfg, err := larderaws.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := larderaws.Identify(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := larderaws.Identity{AccountID: "444455556666", ARN: "arn:aws:iam::444455556666:user/larder", Region: "eu-central-1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
}

func TestInRegionLeavesTheOriginal(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{Region: "eu-central-1"})
	home := server.Config()
	for region, cfg := range map[string]aws.Config{"us-east-1": larderaws.InRegion(home, "us-east-1"), "eu-central-1": home} {
		got, err := larderaws.Identify(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got.Region != region {
			t.Errorf("Region %s, want %s", got.Region, region)
		}
	}
	_, err := larderaws.Identify(t.Context(), larderaws.InRegion(home, "af-south-1"))
	if !larderaws.IsAccessDenied(err) || !strings.Contains(err.Error(), "af-south-1") {
		t.Errorf("error %v, want a denial that names the Region", err)
	}
}

func TestLoadWithoutRegion(t *testing.T) {
	onlyEnv(t, map[string]string{"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example"})
	_, err := larderaws.Load(t.Context())
	if !errors.Is(err, larderaws.ErrMissingRegion) || larderaws.Classify(err) != larderaws.Stalled {
		t.Errorf("error %v, want the missing Region, which needs a person", err)
	}
}

func TestCallWithoutCredentials(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{})
	onlyEnv(t, map[string]string{"AWS_ENDPOINT_URL": server.URL(), "AWS_REGION": "us-west-2"})
	cfg, err := larderaws.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = larderaws.Identify(t.Context(), cfg)
	var missing *larderaws.CredentialsError
	if !errors.As(err, &missing) || !larderaws.IsAccessDenied(err) || larderaws.Classify(err) != larderaws.Stalled {
		t.Errorf("error %v, want the missing credentials, which need a person", err)
	}
	if calls := server.Calls("GetCallerIdentity"); calls != 0 {
		t.Errorf("%d calls without credentials", calls)
	}
}

func TestWrongSecretIsDeniedAndNotShown(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{})
	environment := server.Env()
	environment["AWS_SECRET_ACCESS_KEY"] = "wrong-and-still-secret"
	onlyEnv(t, environment)
	cfg, err := larderaws.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = larderaws.Identify(t.Context(), cfg)
	if !larderaws.IsAccessDenied(err) || strings.Contains(err.Error(), "still-secret") {
		t.Errorf("error %v, want a denial without the secret", err)
	}
	if calls := server.Calls("GetCallerIdentity"); calls != 1 {
		t.Errorf("%d calls; a wrong secret stays wrong", calls)
	}
}

// certificate is self-signed, of no use but to be parsed; its key was thrown away.
const certificate = `-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUQnoaQDdbkb8UhfsXF5yWUpbNKwwwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLbGFyZGVyIHRlc3QwIBcNMjYxMTIzMDUyMjU3WhgPMjEyNjEw
MzAwNTIyNTdaMBYxFDASBgNVBAMMC2xhcmRlciB0ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAE08/irPawENR/tXHCHFNTqAl8F0h6P4vXsGgGWIz3damSZrvK
b3loNMGkQIn/8W5V0doC7Ns85IFYDsqrolLb3KNTMFEwHQYDVR0OBBYEFNt1YL6p
Zdqcd+54SC1FWxezk38bMB8GA1UdIwQYMBaAFNt1YL6pZdqcd+54SC1FWxezk38b
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAKlEwmCnkeXILpiD
RTAjlI2RT8VxNNAYMHiG9n71OXDmAiBK0pKZTNpus1ZS1Ejs/+KiAbb97hkKiZd4
MqiDFd875A==
-----END CERTIFICATE-----
`
