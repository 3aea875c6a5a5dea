package fakeaws_test

import (
	"bufio"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// TestRowsOfMoto asks moto, AWS's double for Python, the same as ours: a second opinion by people who read AWS's
// documentation with other eyes. It is asked where it is installed.
func TestRowsOfMoto(t *testing.T) {
	program, err := exec.LookPath("moto_server")
	if err == nil {
		err = exec.Command(program, "--help").Run() // a shim of a Python without moto is found, too
	}
	if err != nil {
		t.Logf("moto is not present: %v", err)
		return
	}
	url := startMoto(t, program)
	for _, r := range rows() {
		if r.motoDiffers != "" {
			t.Logf("%s: moto differs: %s", r.name, r.motoDiffers)
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			emptyMoto(t, url)
			r.check(t, aws.Config{
				Region:       "us-west-2",
				BaseEndpoint: aws.String(url),
				Credentials:  credentials.NewStaticCredentialsProvider("moto", "moto", ""),
				Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
			})
		})
	}
}

var motoListens = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// startMoto returns the address of a server that ends with the test.
func startMoto(t *testing.T, program string) string {
	t.Helper()
	server := exec.Command(program, "--host", "127.0.0.1", "--port", "0")
	log, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		url := motoListens.FindString(lines.Text())
		if url == "" {
			continue
		}
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			// It logs every request, and stops when nobody reads.
			_, _ = io.Copy(io.Discard, log)
		}()
		t.Cleanup(func() {
			if err := server.Process.Kill(); err != nil {
				t.Errorf("ending moto: %v", err)
			}
			<-drained
			// It was killed, and says so.
			_ = server.Wait()
		})
		return url
	}
	t.Fatalf("moto does not start: %v\n%s", server.Wait(), said.String())
	return ""
}

func emptyMoto(t *testing.T, url string) {
	t.Helper()
	answer, err := http.Post(url+"/moto-api/reset", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("emptying moto: %s", answer.Status)
	}
}
