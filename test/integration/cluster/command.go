/*
Copyright The Kube-Mesos Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package cluster

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig writes a kubeconfig for the control plane: of an administrator, or of
// an administrator who acts as somebody else.
func (c *Cluster) Kubeconfig(as ...string) string {
	c.T.Helper()
	file := filepath.Join(c.T.TempDir(), "kubeconfig")
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: c.Config.Host, CertificateAuthority: c.Config.CAFile,
		CertificateAuthorityData: c.Config.CAData, TLSServerName: c.Config.ServerName}
	config.AuthInfos["test"] = &clientcmdapi.AuthInfo{Token: c.Config.BearerToken,
		ClientCertificateData: c.Config.CertData, ClientKeyData: c.Config.KeyData}
	if len(as) > 0 {
		config.AuthInfos["test"].Impersonate, config.AuthInfos["test"].ImpersonateGroups = as[0], as[1:]
	}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test"}
	config.CurrentContext = "test"
	c.Must(clientcmd.WriteToFile(*config, file))
	return file
}

// UseConfigMap makes schedulers keep the framework id in another ConfigMap of
// namespace kube-system.
func (c *Cluster) UseConfigMap(name string) { c.configMap = name }

// ConfigFile writes a scheduler configuration: head is further lines of
// KubeSchedulerConfiguration, the plugin's arguments are those of the cluster.
func (c *Cluster) ConfigFile(head string) string {
	c.T.Helper()
	file := filepath.Join(c.T.TempDir(), "scheduler.yaml")
	text := fmt.Sprintf(schedulerConfig, c.Mesos.Addr(), c.configMap, c.Args)
	text = strings.Replace(text, "profiles:\n", head+"profiles:\n", 1)
	c.Must(os.WriteFile(file, []byte(text), 0o600))
	return file
}

// Process is a command that runs as a process of its own: this test's binary.
type Process struct {
	c      *Cluster
	cmd    *exec.Cmd
	output lockedBuffer
	done   chan struct{}
	err    error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// StartProcess starts this test's binary again, with an environment variable that
// says which command it is to be. It ends with the test.
func (c *Cluster) StartProcess(variable string, args ...string) *Process {
	c.T.Helper()
	binary, err := os.Executable()
	c.Must(err)
	p := &Process{c: c, cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), variable)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	c.Must(p.cmd.Start())
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	c.T.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
		if c.T.Failed() {
			c.T.Logf("output of %v:\n%s", p.cmd.Args, p.output.String())
		}
	})
	return p
}

// Terminate sends SIGTERM.
func (p *Process) Terminate() {
	p.c.T.Helper()
	p.c.Must(p.cmd.Process.Signal(syscall.SIGTERM))
}

// Kill sends SIGKILL.
func (p *Process) Kill() {
	p.c.T.Helper()
	p.c.Must(p.cmd.Process.Kill())
}

// Wait waits for the end of the process and returns its exit status and output.
func (p *Process) Wait() (status int, output string) {
	p.c.T.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.c.T.Fatal("the process does not end")
	}
	return p.cmd.ProcessState.ExitCode(), p.output.String()
}

// Output is what the process has written so far.
func (p *Process) Output() string { return p.output.String() }

// Ended tells whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// FreePort returns a port on which nobody listens now.
func (c *Cluster) FreePort() string {
	c.T.Helper()
	return freeURLs(c.T, 1)[0].Port()
}

// Page is one page of a process's server.
type Page struct {
	Status int
	Body   string
	// Type is its media type.
	Type string
}

// Get reads a page over HTTPS; the token may be empty. certificate is the file
// that the server's certificate must be signed by, or be.
func (c *Cluster) Get(url, token, certificate string) (Page, error) {
	pem, err := os.ReadFile(certificate)
	if err != nil {
		return Page{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return Page{}, fmt.Errorf("%s holds no certificate", certificate)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(c.T.Context(), http.MethodGet, url, nil)
	if err != nil {
		return Page{}, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return Page{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return Page{Status: resp.StatusCode, Body: string(body), Type: resp.Header.Get("Content-Type")}, err
}
