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
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile bounds what is read of a file, in bytes. Bundles of all public roots have
// a quarter of it.
const maxFile = 1 << 20

// contents are what the files hold.
type contents struct {
	authorization string
	// ca, cert and key are as read, to see changes by.
	ca, cert, key []byte
	roots         *x509.CertPool // nil: the system's
	certificate   *tls.Certificate
}

func (c *contents) equal(other *contents) bool {
	return c.authorization == other.authorization &&
		bytes.Equal(c.ca, other.ca) && bytes.Equal(c.cert, other.cert) && bytes.Equal(c.key, other.key)
}

// load reads all files. Where it fails, what was there before is kept, if anything.
func (f Files) load(before *contents) (*contents, error) {
	now := &contents{}
	if before != nil {
		*now = *before
	}
	return now, errors.Join(f.loadAuthorization(now), f.loadRoots(now), f.loadCertificate(now))
}

func (f Files) loadAuthorization(c *contents) error {
	switch {
	case f.SecretFile != "":
		secret, err := readLine(f.SecretFile)
		if err != nil {
			return err
		}
		c.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(f.Principal+":"+secret))
	case f.TokenFile != "":
		token, err := readLine(f.TokenFile)
		if err != nil {
			return err
		}
		if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return fmt.Errorf("file %s: it holds more than a token: there are blanks, line breaks or characters that no header may have", f.TokenFile)
		}
		c.authorization = "Bearer " + token
		if f.TokenScheme == Token {
			c.authorization = "token=" + token
		}
	}
	return nil
}

func (f Files) loadRoots(c *contents) error {
	if f.CAFile == "" {
		return nil
	}
	pem, err := readFile(f.CAFile)
	if err != nil || bytes.Equal(pem, c.ca) {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("file %s: it holds no certificate in PEM", f.CAFile)
	}
	c.ca, c.roots = pem, roots
	return nil
}

// loadCertificate takes certificate and key over together or not at all: a reader
// may meet one of them new and the other old.
func (f Files) loadCertificate(c *contents) error {
	if f.CertFile == "" {
		return nil
	}
	cert, err := readFile(f.CertFile)
	if err != nil {
		return err
	}
	key, err := readFile(f.KeyFile)
	if err != nil {
		return err
	}
	if bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil { // says nothing of the key but its form
		return fmt.Errorf("files %s and %s: %w", f.CertFile, f.KeyFile, err)
	}
	c.cert, c.key, c.certificate = cert, key, &pair
	return nil
}

// readLine reads a file without the line breaks at its end.
func readLine(name string) (string, error) {
	data, err := readFile(name)
	if err != nil {
		return "", err
	}
	line := strings.TrimRight(string(data), "\r\n")
	if line == "" {
		return "", fmt.Errorf("file %s: it is empty", name)
	}
	return line, nil
}

// readFile reads a file that must not be empty. Its errors name the file.
func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	switch {
	case len(data) == 0:
		return nil, fmt.Errorf("file %s: it is empty", name)
	case len(data) > maxFile:
		return nil, fmt.Errorf("file %s: it is larger than %d bytes", name, maxFile)
	}
	return data, nil
}
