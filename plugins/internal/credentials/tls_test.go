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

package credentials

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// authority is a certificate authority of a test's own.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  string
	made int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key = a.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	a.must(err)
	a.cert, err = x509.ParseCertificate(der)
	a.must(err)
	a.pem = encode("CERTIFICATE", der)
	return a
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (a *authority) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	return key
}

// issue makes a certificate for a name, and its key, both as PEM.
func (a *authority) issue(name string, until time.Duration) (cert, key string) {
	a.t.Helper()
	a.made++
	k := a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1 + a.made), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: a.cert.NotBefore, NotAfter: time.Now().Add(until), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, &k.PublicKey, a.key)
	a.must(err)
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	a.must(err)
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", secret)
}

// server is the TLS of a master that wants certificates of this authority.
func (a *authority) server(name string, until time.Duration) *tls.Config {
	a.t.Helper()
	cert, key := a.issue(name, until)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	a.must(err)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
}

// startMaster starts a master with a configuration on a port.
func startMaster(t *testing.T, config *tls.Config) *mesosmaster.Master {
	t.Helper()
	m := mesosmaster.New(mesosmaster.Config{TLS: config})
	t.Cleanup(m.Close)
	if err := m.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return m
}

// ask makes one request on a connection of its own.
func ask(t *testing.T, c *Credentials, m *mesosmaster.Master, serverName func(string) string) error {
	t.Helper()
	tr := &http.Transport{DialTLSContext: c.DialTLS((&net.Dialer{}).DialContext, serverName), DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+m.Addr()+"/version", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// named is for masters known by a name.
func named(name string) func(string) string { return func(string) string { return name } }

// Who gets in, and what is said to who does not.
func TestTLSWithMasters(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	cert, key := ca.issue("us", time.Hour)
	otherCert, otherKey := other.issue("us", time.Hour)
	v := newVolume(t, map[string]string{"ca": ca.pem, "cert": cert, "key": key, "other-ca": other.pem, "other-cert": otherCert, "other-key": otherKey})
	good := startMaster(t, ca.server("m1.example.com", time.Hour))
	expired := startMaster(t, ca.server("m1.example.com", -time.Hour))
	plain := startMaster(t, nil)
	for _, test := range []struct {
		name       string
		master     *mesosmaster.Master
		files      Files
		serverName func(string) string
		want       string
	}{
		{"all is well", good, Files{CAFile: "ca", CertFile: "cert", KeyFile: "key"}, named("m1.example.com"), ""},
		{"name from the configuration", good, Files{CAFile: "ca", CertFile: "cert", KeyFile: "key", ServerName: "m1.example.com"}, named("m2"), ""},
		{"by address", good, Files{CAFile: "ca", CertFile: "cert", KeyFile: "key"}, nil, "tls.serverName"},
		{"no name known", good, Files{CAFile: "ca", CertFile: "cert", KeyFile: "key"}, named(""), "tls.serverName"},
		{"another name", good, Files{CAFile: "ca", CertFile: "cert", KeyFile: "key"}, named("m2.example.com"), "is for another name"},
		{"another authority", good, Files{CAFile: "other-ca", CertFile: "cert", KeyFile: "key"}, named("m1.example.com"), "other-ca do not vouch"},
		{"the system's authorities", good, Files{CertFile: "cert", KeyFile: "key"}, named("m1.example.com"), "tls.caFile"},
		{"no certificate", good, Files{CAFile: "ca"}, named("m1.example.com"), "who show no certificate"},
		{"a certificate of others", good, Files{CAFile: "ca", CertFile: "other-cert", KeyFile: "other-key"}, named("m1.example.com"), "does not take our certificate in"},
		{"expired", expired, Files{CAFile: "ca", CertFile: "cert", KeyFile: "key"}, named("m1.example.com"), "has expired"},
		{"no TLS", plain, Files{CAFile: "ca", CertFile: "cert", KeyFile: "key"}, named("m1.example.com"), "does not speak TLS on this port"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, f := range []*string{&test.files.CAFile, &test.files.CertFile, &test.files.KeyFile} {
				if *f != "" {
					*f = v.path(*f)
				}
			}
			c := read(t, test.files)
			err := ask(t, c, test.master, test.serverName)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("it worked")
			}
			text, ok := c.Explain(err)
			if !ok || !strings.Contains(text, test.want) {
				t.Errorf("%q is explained as %q, want %q", err, text, test.want)
			}
		})
	}
}

func TestExplainNothingElse(t *testing.T) {
	c := read(t, Files{})
	for _, err := range []error{nil, io.EOF, context.DeadlineExceeded, &net.OpError{Op: "dial", Err: errors.New("tls: bad certificate")}, &net.OpError{Op: "remote error", Err: errors.New("tls: internal error")}} {
		if text, ok := c.Explain(err); ok {
			t.Errorf("%v is explained as %q", err, text)
		}
	}
}

// All certificates are exchanged while we run: the next connection goes by the new
// ones, and a configuration taken before shows our new certificate.
func TestCertificatesAreReadAgain(t *testing.T) {
	before, after := newAuthority(t), newAuthority(t)
	cert, key := before.issue("us", time.Hour)
	v := newVolume(t, map[string]string{"ca": before.pem, "cert": cert, "key": key})
	c := read(t, Files{CAFile: v.path("ca"), CertFile: v.path("cert"), KeyFile: v.path("key"), ServerName: "m1"})
	config, err := c.TLSConfig()
	if err != nil {
		t.Fatal(err)
	}
	old, renewed := startMaster(t, before.server("m1", time.Hour)), startMaster(t, after.server("m1", time.Hour))
	if err := ask(t, c, old, nil); err != nil {
		t.Error(err)
	}
	if err := ask(t, c, renewed, nil); err == nil {
		t.Error("it cannot be trusted yet")
	}
	newCert, newKey := after.issue("us", time.Hour)
	v.swap(map[string]string{"ca": after.pem, "cert": newCert, "key": newKey})
	c.readAnew()
	if err := ask(t, c, renewed, nil); err != nil {
		t.Error(err)
	}
	if err := ask(t, c, old, nil); err == nil {
		t.Error("it can be trusted no more")
	}
	if !changed(c) {
		t.Error("no change is told")
	}
	shown, err := config.GetClientCertificate(nil)
	if err != nil || encode("CERTIFICATE", shown.Certificate[0]) != newCert {
		t.Errorf("an older certificate is shown: %v", err)
	}
	if fresh, err := c.TLSConfig(); err != nil || fresh.RootCAs.Equal(config.RootCAs) {
		t.Errorf("the roots are the old ones: %v", err)
	}
}

// readAnew lets the next use read the files.
func (c *Credentials) readAnew() {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.read = time.Time{}
}

// A certificate without its key, or garbage, changes nothing, and is told; the
// other files are followed all the same.
func TestHalfChangedCertificatesAreNotUsed(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue("us", time.Hour)
	newCert, newKey := ca.issue("us", time.Hour)
	files := func(ca, cert, key, token string) map[string]string {
		return map[string]string{"ca": ca, "cert": cert, "key": key, "token": token}
	}
	v := newVolume(t, files(ca.pem, cert, key, "one"))
	c := read(t, Files{CAFile: v.path("ca"), CertFile: v.path("cert"), KeyFile: v.path("key"), TokenFile: v.path("token")})
	wants := func(wantCert, token, problem string) {
		t.Helper()
		c.readAnew()
		config, err := c.TLSConfig()
		if err != nil {
			t.Fatal(err)
		}
		shown, err := config.GetClientCertificate(nil)
		if err != nil || encode("CERTIFICATE", shown.Certificate[0]) != wantCert {
			t.Errorf("another certificate is shown, %v", err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(ca.cert)
		if !config.RootCAs.Equal(pool) {
			t.Error("the roots are others")
		}
		c.wants(t, token)
		err = c.Problem()
		if (err != nil) != (problem != "") || err != nil && (!strings.Contains(err.Error(), problem) || strings.Contains(err.Error(), "PRIVATE")) {
			t.Errorf("problem is %v, want %q", err, problem)
		}
	}
	wants(cert, "Bearer one", "")
	v.swap(files(ca.pem, newCert, key, "two"))
	wants(cert, "Bearer two", v.path("key"))
	v.swap(files(ca.pem, newCert, newKey, "two"))
	wants(newCert, "Bearer two", "")
	v.swap(files("garbage", newCert, newKey, "three"))
	wants(newCert, "Bearer three", v.path("ca"))
	v.swap(files(ca.pem, newCert, "-----BEGIN PRIVATE KEY-----\ngarbage", "three"))
	wants(newCert, "Bearer three", v.path("key"))
	v.swap(files(ca.pem, newCert, newKey, "three"))
	wants(newCert, "Bearer three", "")
}
