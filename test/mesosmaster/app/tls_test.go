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

package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The masters speak https by flags, and ask for certificates if told whose.
func TestTLSByFlags(t *testing.T) {
	// The certificate of package httptest is its own authority.
	borrowed := httptest.NewTLSServer(nil)
	pair := borrowed.TLS.Certificates[0]
	borrowed.Close()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, secret := write("cert", "CERTIFICATE", pair.Certificate[0]), write("key", "PRIVATE KEY", key)
	roots := x509.NewCertPool()
	roots.AddCert(borrowed.Certificate())
	for _, test := range []struct {
		flags []string
		want  string
	}{
		{nil, ""},
		{[]string{"--ssl-ca-file=" + cert}, "certificate required"},
	} {
		base, stop := start(t, append(test.flags, "--agents=1", "--ssl-cert-file="+cert, "--ssl-key-file="+secret)...)
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}, DisableKeepAlives: true,
		}}
		resp, err := client.Get(strings.Replace(base, "http:", "https:", 1) + "/version")
		if err == nil {
			err = resp.Body.Close()
		}
		if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, want %q", test.flags, err, test.want)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}
