package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestProgramServesAndEndsOnSignal(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "fakeaws")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	program := exec.Command(binary, "--listen", "127.0.0.1:0", "--account-id", "444455556666")
	program.Stderr = os.Stderr
	output, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{}
	for lines := bufio.NewScanner(output); len(environment) < 5 && lines.Scan(); {
		name, value, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		environment[name] = value
	}
	client := sts.New(sts.Options{
		Region:       environment["AWS_REGION"],
		BaseEndpoint: aws.String(environment["AWS_ENDPOINT_URL"]),
		Credentials:  credentials.NewStaticCredentialsProvider(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], ""),
	})
	caller, callErr := client.GetCallerIdentity(t.Context(), nil)
	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := program.Wait(); err != nil {
		t.Errorf("ending on SIGTERM: %v", err)
	}
	if callErr != nil || aws.ToString(caller.Account) != "444455556666" {
		t.Errorf("GetCallerIdentity: %+v, %v", caller, callErr)
	}
}
