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
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"time"
)

// handshakeTimeout bounds a TLS handshake.
const handshakeTimeout = 10 * time.Second

// TLSConfig is a configuration of a TLS client, the caller's own. Our certificate
// follows its files: each handshake shows the one of that moment. The roots do not,
// because a tls.Config cannot change them while it is used: they are those of now.
// So whoever keeps the configuration gets another one after Changed; DialTLS does
// with each connection.
func (c *Credentials) TLSConfig() (*tls.Config, error) {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		RootCAs:    c.fresh().roots,
		ServerName: c.files.ServerName,
		NextProtos: []string{"http/1.1"},
	}
	if c.files.CertFile != "" {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return c.fresh().certificate, nil
		}
	}
	return config, nil
}

// Dial opens a connection, as net.Dialer's DialContext does.
type Dial = func(ctx context.Context, network, address string) (net.Conn, error)

// DialTLS returns a function for http.Transport's DialTLSContext. Each connection it
// makes goes by the files as they are then. The certificate must be for
// Files.ServerName, or else for what serverName returns for the address (host:port)
// that is dialled, or else, if that is empty or serverName nil, for its host. Errors
// of the handshake are explained, see Explain.
func (c *Credentials) DialTLS(dial Dial, serverName func(address string) string) Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		config, err := c.TLSConfig()
		if err != nil {
			return nil, err
		}
		if config.ServerName == "" && serverName != nil {
			config.ServerName = serverName(address)
		}
		if config.ServerName == "" {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			config.ServerName = host
		}
		raw, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		within, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		conn := tls.Client(raw, config)
		if err := conn.HandshakeContext(within); err != nil {
			_ = raw.Close() // the handshake's error is the one to tell
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
				err = fmt.Errorf("%w: %w", errHungUp, err)
			}
			return nil, fmt.Errorf("TLS with %s: %w", address, c.explained(err))
		}
		return conn, nil
	}
}

// errHungUp is what a master without TLS does when it is spoken to in TLS.
var errHungUp = errors.New("hung up in the handshake")

func (c *Credentials) explained(err error) error {
	if text, ok := c.Explain(err); ok {
		return fmt.Errorf("%s: %w", text, err)
	}
	return err
}

// Explain says in one line what to do about an error of a TLS connection; false if
// it is none that credentials could mend. A master that does not take our
// certificate may say so only when the first answer is read (TLS 1.3).
func (c *Credentials) Explain(err error) (string, bool) {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		plain   tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		if c.files.CAFile == "" {
			return "the system's certificates do not vouch for the master's certificate; name a file with those that do (tls.caFile)", true
		}
		return fmt.Sprintf("the certificates in %s do not vouch for the master's certificate", c.files.CAFile), true
	case errors.As(err, &name):
		return "the master's certificate is for another name; correct it, or name the one that it is for (tls.serverName)", true
	case errors.As(err, &invalid):
		if invalid.Reason == x509.Expired {
			return "the master's certificate has expired or is not valid yet, or our clock is wrong", true
		}
		return "the master's certificate cannot be used", true
	case errors.As(err, &plain), errors.Is(err, errHungUp):
		return "it seems that the master does not speak TLS on this port", true
	case isRefusal(err):
		if c.files.CertFile == "" {
			return "the master does not go on with us, who show no certificate; it may want one (tls.certFile, tls.keyFile)", true
		}
		return fmt.Sprintf("the master does not take our certificate in %s", c.files.CertFile), true
	}
	return "", false
}

// refusals are the alerts by which a peer refuses a certificate or the lack of one
// (RFC 8446, 6.2): handshake_failure, those from bad_certificate to
// certificate_unknown, unknown_ca, access_denied and certificate_required.
var refusals = []tls.AlertError{40, 42, 43, 44, 45, 46, 48, 49, 116}

// isRefusal reports whether err is one of these from the peer. crypto/tls has no
// exported type for what it received, but the same texts.
func isRefusal(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return false
	}
	return slices.ContainsFunc(refusals, func(a tls.AlertError) bool { return op.Err.Error() == a.Error() })
}
