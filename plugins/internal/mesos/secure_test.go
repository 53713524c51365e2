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

package mesos

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/kube-mesos/kube-mesos/plugins/internal/credentials"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	pair := a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// sign completes a certificate and signs it, by itself if there is no authority yet.
func (a *authority) sign(c *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "test"}
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Now().Add(-time.Hour)
	}
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(24 * time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// issue signs a certificate for a host, for servers and clients.
func (a *authority) issue(host string, change func(*x509.Certificate)) tls.Certificate {
	c := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature}
	if ip := net.ParseIP(host); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else {
		c.DNSNames = []string{host}
	}
	if change != nil {
		change(c)
	}
	return a.sign(c)
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// write makes files of a certificate and its key.
func write(t *testing.T, dir string, pair tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writePEM(t, cert, pair.Leaf)
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// secureMaster is a fake master behind TLS; config may change while it runs.
func secureMaster(t *testing.T, n *memNet, addr string, config func() *tls.Config) *fakeMaster {
	n.buffered = true
	m := &fakeMaster{t: t, net: n, addr: addr, streams: make(chan *fakeStream, 16)}
	m.server = &http.Server{Handler: m, ErrorLog: log.New(io.Discard, "", 0)}
	m.serve(tls.NewListener(n.listen(addr), &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return config(), nil },
	}))
	return m
}

// overTLS makes the rig's session use its own transport on the test's network.
func overTLS(r *rig) { r.options = []Option{WithDial(r.net.dial)} }

func TestTLS(t *testing.T) {
	tests := []struct {
		name string
		// server changes the certificate of a master that is known as m1.
		server func(*x509.Certificate)
		// clients makes the master ask for a certificate of ours, plain makes it speak none.
		clients, plain bool
		// trust names the CA file, show our certificate. foreign has the master's from an
		// authority that we do not know, stranger ours from one that it does not know.
		trust, show, foreign, stranger bool
		serverName                     string
		// want is part of the status, "" for a subscription.
		reason Reason
		want   string
	}{
		{name: "trusted", trust: true},
		{name: "trusted, and shown one that nobody asks for", trust: true, show: true},
		{name: "signed by nobody we know", reason: ReasonUntrustedCertificate, want: "tls.caFile"},
		{name: "signed by another", trust: true, foreign: true, reason: ReasonUntrustedCertificate, want: "do not vouch"},
		{name: "for another name", trust: true, server: func(c *x509.Certificate) { c.DNSNames = []string{"m9"} }, reason: ReasonUntrustedCertificate, want: "tls.serverName"},
		{name: "for the name that we expect", trust: true, serverName: "m9", server: func(c *x509.Certificate) { c.DNSNames = []string{"m9"} }},
		{name: "expired", trust: true, server: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, reason: ReasonUntrustedCertificate, want: "our clock is wrong"},
		{name: "no TLS at all", trust: true, plain: true, reason: ReasonUntrustedCertificate, want: "does not speak TLS"},
		{name: "wants a certificate", trust: true, clients: true, reason: ReasonCertificateRefused, want: "tls.certFile"},
		{name: "gets one", trust: true, clients: true, show: true},
		{name: "gets a foreign one", trust: true, clients: true, show: true, stranger: true, reason: ReasonCertificateRefused, want: "does not take our certificate"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *memNet) {
				ours := newAuthority(t)
				theirs, shown := ours, ours
				if test.foreign {
					theirs = newAuthority(t)
				}
				if test.stranger {
					shown = newAuthority(t)
				}
				var m *fakeMaster
				if test.plain {
					m = newFakeMaster(t, n, "m1:5050")
				} else {
					config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{theirs.issue("m1", test.server)}}
					if test.clients {
						config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, theirs.pool()
					}
					m = secureMaster(t, n, "m1:5050", func() *tls.Config { return config })
				}
				dir := t.TempDir()
				files := credentials.Files{ServerName: test.serverName}
				if test.trust {
					files.CAFile = filepath.Join(dir, "ca.crt")
					writePEM(t, files.CAFile, ours.cert)
				}
				if test.show {
					files.CertFile, files.KeyFile = write(t, dir, shown.issue("kube-mesos", nil))
				}
				cfg := testConfig("https://m1")
				cfg.Credentials = fromFiles(t, files)
				r := newRig(t, n, cfg, func(r *rig, _ *Config) { overTLS(r) }).start()
				if test.reason == "" {
					m.next("fw")
					if err := r.session.Revive(t.Context()); err != nil {
						t.Error(err)
					}
					r.stop()
					return
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				got := r.session.Status()
				if got.State != StateBackoff || got.Reason != test.reason || !strings.Contains(got.LastError, test.want) || len(m.seen()) != 0 {
					t.Errorf("%d calls, status is %+v; want %q", len(m.seen()), got, test.want)
				}
				if strings.Count(got.LastError, test.want) != 1 {
					t.Errorf("said more than once: %s", got.LastError)
				}
				// Every 8 s from the first on: somebody has to mend it.
				calls, _, _ := r.observer.snapshot()
				if len(calls) != 8 {
					t.Errorf("tried %d times in a minute", len(calls))
				}
				r.stop()
			})
		})
	}
}

// TestServerNamesOfAddresses: a name stands for several addresses; the certificates are
// for the name.
func TestServerNamesOfAddresses(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		a := newAuthority(t)
		config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{a.issue("masters.example", nil)}}
		m := secureMaster(t, n, "10.0.0.2:5050", func() *tls.Config { return config })
		ca := filepath.Join(t.TempDir(), "ca.crt")
		writePEM(t, ca, a.cert)
		cfg := testConfig()
		cfg.Credentials = fromFiles(t, credentials.Files{CAFile: ca})
		d := guideTo("10.0.0.1:5050", "10.0.0.2:5050")
		for i := range d.list {
			d.list[i].URL.Scheme, d.list[i].ServerName = "https", "masters.example"
		}
		cfg.Masters = d
		r := newRig(t, n, cfg, func(r *rig, _ *Config) { overTLS(r) }).start()
		m.next("fw")
		r.stop()
	})
}

// TestRedirectsKeepTLS: never from https to http, whatever a master says; where it leads,
// the certificate must be for that host.
func TestRedirectsKeepTLS(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		a := newAuthority(t)
		serve := func(host string) *fakeMaster {
			config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{a.issue(host, nil)}}
			return secureMaster(t, n, host+":5050", func() *tls.Config { return config })
		}
		standby, leader, plain := serve("m1"), serve("m2"), newFakeMaster(t, n, "m3:5050")
		standby.answer(redirectTo("http://m3:5050/master/api/v1/scheduler"))
		ca := filepath.Join(t.TempDir(), "ca.crt")
		writePEM(t, ca, a.cert)
		cfg := testConfig("https://m1")
		cfg.Credentials = fromFiles(t, credentials.Files{CAFile: ca})
		r := newRig(t, n, cfg, func(r *rig, _ *Config) { overTLS(r) }).start()
		synctest.Wait()
		if got := r.session.Status(); !strings.Contains(got.LastError, "not followed") || len(plain.seen()) != 0 {
			t.Errorf("%d calls in plain, status is %+v", len(plain.seen()), got)
		}
		standby.answer(redirectTo("//m2:5050/master/api/v1/scheduler"))
		leader.next("fw")
		r.stop()
	})
}

// TestMendedFilesAreUsedAtOnce: of the CA, of a secret; and what was wrong never says more
// than which file.
func TestMendedFilesAreUsedAtOnce(t *testing.T) {
	t.Run("CA", func(t *testing.T) {
		bubble(t, func(t *testing.T, n *memNet) {
			before, after := newAuthority(t), newAuthority(t)
			var config atomic.Pointer[tls.Config]
			config.Store(&tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{after.issue("m1", nil)}})
			var handshakes atomic.Int32
			m := secureMaster(t, n, "m1:5050", func() *tls.Config { handshakes.Add(1); return config.Load() })
			ca := filepath.Join(t.TempDir(), "ca.crt")
			writePEM(t, ca, before.cert)
			cfg := testConfig("https://m1")
			cfg.BackoffMax = time.Hour
			cfg.Credentials = fromFiles(t, credentials.Files{CAFile: ca})
			r := newRig(t, n, cfg, func(r *rig, _ *Config) { overTLS(r) }).start()
			synctest.Wait()
			if got := r.session.Status(); got.Reason != ReasonUntrustedCertificate {
				t.Fatalf("status is %+v", got)
			}
			writePEM(t, ca, after.cert)
			began := time.Now()
			st := m.next("fw")
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("subscribed %v after the file was mended", took)
			}
			// Later calls go by the new certificates, the stream stays.
			if err := r.session.Revive(t.Context()); err != nil {
				t.Error(err)
			}
			made := handshakes.Load()
			writePEM(t, ca, before.cert)
			config.Store(&tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{before.issue("m1", nil)}})
			for range 2 {
				time.Sleep(10 * time.Second)
				st.send(heartbeatEvent())
				if err := r.session.Revive(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if got := handshakes.Load(); got != made+1 {
				t.Errorf("%d connections since the change, want a new one that serves on", got-made)
			}
			r.handler.wants(t, "subscribed fw at m1:5050")
			r.stop()
		})
	})
	t.Run("secret", func(t *testing.T) {
		bubble(t, func(t *testing.T, n *memNet) {
			m := newFakeMaster(t, n, "m1:5050")
			m.onSubscribe = func(w http.ResponseWriter, r *http.Request) bool {
				if _, secret, _ := r.BasicAuth(); secret == "right-one" {
					return false
				}
				return refuseWith(401, "401 Unauthorized.")(w, r)
			}
			file := filepath.Join(t.TempDir(), "secret")
			put := func(text string) {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			put("wrong-one")
			cfg := testConfig("m1")
			cfg.BackoffMax = time.Hour
			cfg.Credentials = fromFiles(t, credentials.Files{Principal: "kube", SecretFile: file})
			r := newRig(t, n, cfg, nil).start()
			synctest.Wait()
			if got := r.session.Status(); got.Reason != ReasonUnauthorized {
				t.Fatalf("status is %+v", got)
			}
			// An unreadable file: what was read before is tried again, and the file is named.
			put("")
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			got := r.session.Status()
			if got.Reason != ReasonCredentialsUnreadable || !strings.Contains(got.LastError, file) || strings.Contains(got.LastError, "wrong-one") || len(m.seen()) > 4 {
				t.Errorf("%d calls, status is %+v", len(m.seen()), got)
			}
			put("right-one\n")
			began := time.Now()
			m.next("fw")
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("subscribed %v after the file was mended", took)
			}
			if got := r.session.Status(); got.LastError != "" || got.Reason != "" {
				t.Errorf("status is %+v", got)
			}
			r.stop()
		})
	})
}

// TestCallsThatLoseTheirCredentials: the stream goes on, and the status says what is wrong
// for as long as it is.
func TestCallsThatLoseTheirCredentials(t *testing.T) {
	bubble(t, func(t *testing.T, n *memNet) {
		m, r, st := live(t, n, func(_ *rig, c *Config) {
			c.Credentials = showing(func() (string, error) { return "Basic a3ViZTpzM2NyZXQ=", nil })
		})
		var status atomic.Int32
		status.Store(http.StatusUnauthorized)
		m.onCall = func(seenCall) (int, string) { return int(status.Load()), "401 Unauthorized." }
		var refused *CallError
		if err := r.session.Revive(t.Context()); !errors.As(err, &refused) || refused.Status != 401 || refused.OutcomeUnknown() {
			t.Errorf("the call ended with %v", err)
		}
		got := r.session.Status()
		if got.State != StateSubscribed || got.Reason != ReasonUnauthorized || !strings.Contains(got.LastError, "check the principal") || strings.Contains(got.LastError, "a3ViZTpzM2NyZXQ") {
			t.Errorf("status is %+v", got)
		}
		status.Store(0)
		if err := r.session.Revive(t.Context()); err != nil {
			t.Error(err)
		}
		if got := r.session.Status(); got.State != StateSubscribed || got.Reason != "" || got.LastError != "" {
			t.Errorf("status is %+v", got)
		}
		// Reads are in realms of their own: they say nothing of the session.
		m.onGet = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
		if _, err := r.session.Agents(t.Context()); !errors.Is(err, ErrNotAllowed) || r.session.Status().Reason != "" {
			t.Errorf("the read ended with %v, status is %+v", err, r.session.Status())
		}
		if !st.send(heartbeatEvent()) || len(m.seen(scheduler.Call_SUBSCRIBE)) != 1 {
			t.Error("the stream is gone")
		}
		r.stop()
	})
}

// TestWhoMendsWhat: only when every master of a round needs an operator, we wait long.
func TestWhoMendsWhat(t *testing.T) {
	untrusted := errors.Join(errNotConnecting, errUntrusted)
	for _, err := range []error{
		errUnauthorized, errForbidden, errCredentials, untrusted, errCertificate, roundError{untrusted}, roundError{untrusted, errUnauthorized},
	} {
		if !needsOperator(err) {
			t.Errorf("%v: nobody is needed", err)
		}
	}
	for _, err := range []error{errNotReady, errStreamCut, ErrRolesRefused, roundError{untrusted, errNotConnecting}, roundError{}} {
		if needsOperator(err) {
			t.Errorf("%v: somebody is needed", err)
		}
	}
	if ReasonOf(nil) != "" || ReasonOf(errors.New("x")) == "" {
		t.Error("an error has a reason, and only an error")
	}
}
