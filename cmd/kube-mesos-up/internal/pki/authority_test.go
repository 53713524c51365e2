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

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func newAuthority(t *testing.T) *Authority {
	t.Helper()
	a, err := LoadOrCreate(filepath.Join(t.TempDir(), "pki"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// serve starts a server with the certificate "server" that demands client
// certificates and answers with the client's user and groups.
func serve(t *testing.T, a *Authority) *httptest.Server {
	t.Helper()
	if err := a.Issue("server", Subject{User: "kube-apiserver", Server: true, ServiceIPs: []net.IP{net.IPv4(10, 96, 0, 1)}}); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(a.Path("server.crt"), a.Path("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.TLS.PeerCertificates[0].Subject
		w.Write([]byte(name.CommonName + "/" + strings.Join(name.Organization, ",")))
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, kubeconfig string) (string, error) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.UnversionedRESTClientFor(&rest.Config{
		Host: config.Host, TLSClientConfig: config.TLSClientConfig,
		ContentConfig: rest.ContentConfig{NegotiatedSerializer: serializer.NewCodecFactory(runtime.NewScheme())},
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := client.Get().AbsPath("/").DoRaw(t.Context())
	return string(body), err
}

func TestKubeconfigReachesTheServer(t *testing.T) {
	a := newAuthority(t)
	s := serve(t, a)
	if err := a.Issue("admin", Subject{User: "admin", Groups: []string{"system:masters"}}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := a.CertificateKubeconfig(path, s.URL, "admin"); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, path); err != nil || got != "admin/system:masters" {
		t.Errorf("the server saw %q, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the kubeconfig: %v, %v", info.Mode(), err)
	}
}

func TestForeignAuthorityIsRefused(t *testing.T) {
	ours, foreign := newAuthority(t), newAuthority(t)
	s := serve(t, ours)
	if err := foreign.Issue("admin", Subject{User: "admin"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := foreign.CertificateKubeconfig(path, s.URL, "admin"); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, path); err == nil {
		t.Errorf("a foreign certificate was served: %q", got)
	}
}

func TestReloadKeepsTheAuthority(t *testing.T) {
	a := newAuthority(t)
	if err := a.SigningKey("service-accounts"); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(a.Path("service-accounts.key"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := LoadOrCreate(a.dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if !b.cert.Equal(a.cert) {
		t.Error("the authority changed")
	}
	if err := b.SigningKey("service-accounts"); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(a.Path("service-accounts.key"))
	if err != nil || string(after) != string(before) {
		t.Errorf("the signing key changed (%v): tokens issued before would be refused", err)
	}
	for _, key := range []string{"ca.key", "service-accounts.key"} {
		if info, err := os.Stat(a.Path(key)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s: %v, %v", key, info.Mode(), err)
		}
	}
}

func TestBrokenAuthorityIsAnError(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	key, err := os.ReadFile(other.Path("ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"not PEM": "x", "another key": string(key)} {
		if err := os.WriteFile(a.Path("ca.key"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreate(a.dir, time.Now); err == nil || !strings.Contains(err.Error(), "remove the data folder") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
