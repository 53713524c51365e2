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

package app

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// agentEntry is one element of --agents-from-file.
type agentEntry struct {
	Hostname   string            `json:"hostname"`
	Resources  string            `json:"resources"`
	Attributes map[string]string `json:"attributes"`
	Region     string            `json:"region"`
	Zone       string            `json:"zone"`
	IP         string            `json:"ip"`
	Port       int               `json:"port"`
	// LoadThreshold makes a QoS controller kill what runs on revocable resources
	// above that load.
	LoadThreshold float64 `json:"load_threshold"`
}

// readJSON reads a file strictly: members it does not know are mistakes.
func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func (o *Options) agents() ([]mesosmaster.AgentConfig, error) {
	var out []mesosmaster.AgentConfig
	if o.AgentsFromFile == "" {
		if strings.Contains(fmt.Sprintf(o.AgentHostnameFormat, 0), "%!") {
			return nil, fmt.Errorf("--agent-hostname-format %q: want exactly one verb for a number, such as %%03d", o.AgentHostnameFormat)
		}
		for i := range o.Agents {
			out = append(out, mesosmaster.AgentConfig{Hostname: fmt.Sprintf(o.AgentHostnameFormat, i), Resources: o.AgentResources})
		}
		return out, nil
	}
	var entries []agentEntry
	if err := readJSON(o.AgentsFromFile, &entries); err != nil {
		return nil, fmt.Errorf("--agents-from-file %s: want a JSON list of {hostname, resources, attributes, region, zone, ip, port, load_threshold}: %w", o.AgentsFromFile, err)
	}
	for _, e := range entries {
		if e.Resources == "" {
			e.Resources = o.AgentResources
		}
		out = append(out, mesosmaster.AgentConfig{
			Hostname: e.Hostname, Resources: e.Resources, Attributes: e.Attributes, Region: e.Region, Zone: e.Zone, IP: e.IP, Port: e.Port,
			LoadThreshold: e.LoadThreshold,
		})
	}
	return out, nil
}

// authentication reads who is asked for what. Errors name the file, never what is
// in it.
func (o *Options) authentication() (mesosmaster.Authentication, error) {
	a := mesosmaster.Authentication{Frameworks: o.AuthFrameworks, Readonly: o.AuthReadonly, Readwrite: o.AuthReadwrite}
	if o.Credentials == "" {
		if a.Frameworks || a.Readonly || a.Readwrite {
			return a, errors.New("--authenticate-http-...: want --credentials too, or nobody can get in")
		}
		return a, nil
	}
	var file struct {
		Credentials []struct {
			Principal string `json:"principal"`
			Secret    string `json:"secret"`
		} `json:"credentials"`
	}
	if err := readJSON(o.Credentials, &file); err != nil {
		return a, fmt.Errorf(`--credentials %s: want {"credentials":[{"principal":"p","secret":"s"}]}: %w`, o.Credentials, err)
	}
	a.Credentials = map[string]string{}
	for i, c := range file.Credentials {
		if c.Principal == "" || strings.Contains(c.Principal, ":") {
			return a, fmt.Errorf("--credentials %s: entry %d: want a principal without colon", o.Credentials, i)
		}
		a.Credentials[c.Principal] = c.Secret
	}
	return a, nil
}

// tls reads the certificates; nil if the masters speak plain http.
func (o *Options) tls() (*tls.Config, error) {
	if o.SSLCertFile == "" && o.SSLKeyFile == "" && o.SSLCAFile == "" {
		return nil, nil
	}
	if o.SSLCertFile == "" || o.SSLKeyFile == "" {
		return nil, errors.New("--ssl-...: want --ssl-cert-file and --ssl-key-file, both")
	}
	pair, err := tls.LoadX509KeyPair(o.SSLCertFile, o.SSLKeyFile)
	if err != nil {
		return nil, fmt.Errorf("--ssl-cert-file, --ssl-key-file: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if o.SSLCAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(o.SSLCAFile)
	if err != nil {
		return nil, fmt.Errorf("--ssl-ca-file: %w", err)
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ssl-ca-file %s: it holds no certificate in PEM", o.SSLCAFile)
	}
	return config, nil
}
