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

// Package pki makes the certificates, keys and kubeconfig files of one local
// cluster. Keys never leave the cluster's data folder, whose files are readable
// by their owner only.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Lifetime is how long authorities and certificates are valid. A data folder
// that is used for longer gets new certificates at every start, but not a new
// authority.
const Lifetime = 10 * 365 * 24 * time.Hour

// Authority issues the certificates of one cluster.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
	now  func() time.Time
}

// LoadOrCreate returns the authority kept in dir (ca.crt and ca.key), creating
// both when neither exists. now is the clock certificates are dated by.
func LoadOrCreate(dir string, now func() time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the folder of certificates: %w", err)
	}
	a := &Authority{dir: dir, now: now}
	certPEM, err := os.ReadFile(a.path("ca.crt"))
	if errors.Is(err, fs.ErrNotExist) {
		return a, a.create()
	}
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(a.path("ca.key"))
	if err != nil {
		return nil, fmt.Errorf("read the authority's key: %w", err)
	}
	if a.cert, a.key, err = parsePair(certPEM, keyPEM); err != nil {
		return nil, fmt.Errorf("parse the authority in %s: %w; remove the data folder to start anew", dir, err)
	}
	return a, nil
}

func (a *Authority) path(name string) string { return filepath.Join(a.dir, name) }

// Path returns the path of a file of the authority's folder, such as "ca.crt".
func (a *Authority) Path(name string) string { return a.path(name) }

func (a *Authority) create() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generate the authority's key: %w", err)
	}
	template, err := a.template(pkix.Name{CommonName: "kube-mesos-up"})
	if err != nil {
		return err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("sign the authority: %w", err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("parse the authority: %w", err)
	}
	a.key = key
	// The certificate is written last: a folder with it has its key too.
	if err := a.writeKey("ca.key", key); err != nil {
		return err
	}
	return a.writePEM("ca.crt", "CERTIFICATE", der, 0o644)
}

// Subject says whom a certificate is for.
type Subject struct {
	// User is the common name: the user name a kube-apiserver sees.
	User string
	// Groups are the organisations: the groups a kube-apiserver sees.
	Groups []string
	// Server makes it a server's certificate too, for localhost, 127.0.0.1 and
	// the in-cluster names and ServiceIPs of the Kubernetes API.
	Server     bool
	ServiceIPs []net.IP
}

// Issue writes NAME.crt and NAME.key, replacing older ones.
func (a *Authority) Issue(name string, subject Subject) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generate the key of %s: %w", name, err)
	}
	template, err := a.template(pkix.Name{CommonName: subject.User, Organization: subject.Groups})
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if subject.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		template.DNSNames = []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local",
		}
		template.IPAddresses = append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, subject.ServiceIPs...)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("sign the certificate of %s: %w", name, err)
	}
	if err := a.writeKey(name+".key", key); err != nil {
		return err
	}
	return a.writePEM(name+".crt", "CERTIFICATE", der, 0o644)
}

// SigningKey makes NAME.key and NAME.pub, the key pair that signs service
// account tokens, unless they exist.
func (a *Authority) SigningKey(name string) error {
	if _, err := os.Stat(a.path(name + ".pub")); err == nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generate the signing key %s: %w", name, err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encode the signing key %s: %w", name, err)
	}
	if err := a.writeKey(name+".key", key); err != nil {
		return err
	}
	return a.writePEM(name+".pub", "PUBLIC KEY", der, 0o644)
}

// template dates a certificate an hour back, so that clocks may differ.
func (a *Authority) template(name pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choose a serial number: %w", err)
	}
	now := a.now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: name,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(Lifetime),
	}, nil
}

func (a *Authority) writeKey(file string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode %s: %w", file, err)
	}
	return a.writePEM(file, "EC PRIVATE KEY", der, 0o600)
}

func (a *Authority) writePEM(file, kind string, der []byte, mode fs.FileMode) error {
	return WriteFile(a.path(file), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

// WriteFile replaces a file as a whole: readers see the old or the new one, with
// the given mode from its first moment.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func parsePair(certPEM, keyPEM []byte) (*x509.Certificate, crypto.Signer, error) {
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, errors.New("not in PEM form")
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate: %w", err)
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("key: %w", err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, errors.New("certificate and key do not belong together")
	}
	return cert, key, nil
}
