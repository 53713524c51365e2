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

package mesosmaster_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// authority is a certificate authority of a test's own.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	made int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key = a.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	return key
}

// issue makes a certificate for a name and an address, for servers and clients.
func (a *authority) issue(name string) tls.Certificate {
	a.t.Helper()
	a.made++
	key := a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1 + a.made), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, &key.PublicKey, a.key)
	must(a.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// A master with TLS that wants client certificates: who gets in, in memory and on
// sockets; redirects without scheme stay on https.
func TestTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.issue("master")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()}
	for _, tc := range []struct {
		name   string
		client *tls.Config
		want   string // in the error; empty for none
	}{
		{"trusted both", &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{ca.issue("client")}}, ""},
		{"no certificate", &tls.Config{RootCAs: ca.pool()}, "certificate required"},
		{"a certificate of others", &tls.Config{RootCAs: ca.pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c := other.issue("client")
			return &c, nil
		}}, "unknown certificate authority"},
		{"an unknown master", &tls.Config{RootCAs: other.pool(), Certificates: []tls.Certificate{ca.issue("client")}}, "unknown authority"},
		{"another name", &tls.Config{ServerName: "elsewhere", RootCAs: ca.pool(), Certificates: []tls.Certificate{ca.issue("client")}}, "not elsewhere"},
	} {
		check := func(t *testing.T, m *mesosmaster.Master, tr *http.Transport) {
			defer tr.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.URL()+"/redirect", nil)
			must(t, err)
			resp, err := tr.RoundTrip(req)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got error %v, want one with %q", err, tc.want)
				}
				return
			}
			must(t, err)
			must(t, resp.Body.Close())
			if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusTemporaryRedirect || !strings.HasPrefix(to, "//") {
				t.Errorf("got %s to %q", resp.Status, to)
			}
		}
		t.Run(tc.name, func(t *testing.T) {
			m := mesosmaster.New(mesosmaster.Config{TLS: server})
			defer m.Close()
			must(t, m.Start("127.0.0.1:0"))
			if !strings.HasPrefix(m.URL(), "https://127.0.0.1:") {
				t.Errorf("URL is %s", m.URL())
			}
			check(t, m, &http.Transport{TLSClientConfig: tc.client.Clone()})
		})
		t.Run(tc.name+", in memory", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := tc.client.Clone()
				// Virtual time begins in 2000.
				now := time.Now()
				config.Time = func() time.Time { return ca.cert.NotBefore.Add(time.Hour + time.Since(now)) }
				srv := server.Clone()
				srv.Time = config.Time
				m := mesosmaster.New(mesosmaster.Config{TLS: srv})
				defer m.Close()
				if config.ServerName == "" {
					config.ServerName = "master"
				}
				check(t, m, &http.Transport{TLSClientConfig: config, DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
					return m.Dial(address)
				}})
			})
		})
	}
}

// A leader with TLS that is killed breaks its streams; its successor serves TLS too.
func TestTLSOfSeveral(t *testing.T) {
	ca := newAuthority(t)
	e, err := mesosmaster.NewEnsemble(mesosmaster.EnsembleConfig{
		Config:         mesosmaster.Config{TLS: &tls.Config{Certificates: []tls.Certificate{ca.issue("master")}}},
		SessionTimeout: 50 * time.Millisecond,
	})
	must(t, err)
	defer e.Close()
	for i := range e.Masters() {
		must(t, e.Listen(i, "127.0.0.1:0"))
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool()}}
	defer tr.CloseIdleConnections()
	location := func(i int) string {
		resp, err := tr.RoundTrip(mustRequest(t, e.MasterURL(i)+"/redirect"))
		if err != nil {
			return err.Error()
		}
		must(t, resp.Body.Close())
		return resp.Header.Get("Location")
	}
	if got := location(1); got != "//"+e.Address(0) {
		t.Errorf("master 1 redirects to %q", got)
	}
	c := (&client{t: t, http: &http.Client{Transport: tr}, base: e.MasterURL(0)}).subscribe(framework("n", "a"))
	defer c.close()
	e.Kill(0)
	<-c.done
	for location(2) != "//"+e.Address(1) { // until the session has ended
	}
}
