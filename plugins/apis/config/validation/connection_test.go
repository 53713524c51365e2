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

package validation_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/apis/config/validation"
)

func TestAuthentication(t *testing.T) {
	type args = config.MesosOffersArgs
	secret := func(principal string, auth config.Authentication) func(*args) {
		return func(a *args) {
			a.Framework.Principal = principal
			if auth.TokenScheme == "" {
				auth.TokenScheme = a.Authentication.TokenScheme
			}
			a.Authentication = auth
		}
	}
	judgeCases(t, []fieldsCase{
		{"principal alone", secret("kube", config.Authentication{}), nil},
		{"principal and secret", secret("kube", config.Authentication{SecretFile: "/s"}), nil},
		{"token", secret("", config.Authentication{TokenFile: "/t"}), nil},
		{"token of a principal, for DC/OS", secret("kube", config.Authentication{TokenFile: "/t", TokenScheme: "Token"}), nil},
		{"secret of nobody", secret("", config.Authentication{SecretFile: "/s"}), []string{"FieldValueRequired framework.principal"}},
		{"principal with a colon", secret("a:b", config.Authentication{SecretFile: "/s"}), []string{"FieldValueInvalid framework.principal"}},
		{"principal with a colon and no secret", secret("a:b", config.Authentication{}), nil},
		{"both", secret("kube", config.Authentication{SecretFile: "/s", TokenFile: "/t"}), []string{"FieldValueForbidden authentication.tokenFile"}},
		{"unknown scheme", secret("", config.Authentication{TokenFile: "/t", TokenScheme: "bearer"}),
			[]string{"FieldValueNotSupported authentication.tokenScheme"}},
		{"relative files", secret("kube", config.Authentication{SecretFile: "s", TokenFile: "./t"}),
			[]string{"FieldValueInvalid authentication.secretFile", "FieldValueInvalid authentication.tokenFile", "FieldValueForbidden authentication.tokenFile"}},
	})
}

func TestTLS(t *testing.T) {
	type args = config.MesosOffersArgs
	tls := func(master string, tls config.TLS) func(*args) {
		return func(a *args) { a.Masters, a.TLS = []string{"b:5050", master}, tls }
	}
	only := func(master string, tls config.TLS) func(*args) {
		return func(a *args) { a.Masters, a.TLS = []string{master}, tls }
	}
	const https, forbidden = "https://a:5050", "FieldValueForbidden tls."
	judgeCases(t, []fieldsCase{
		{"everything", tls(https, config.TLS{CAFile: "/ca", CertFile: "/crt", KeyFile: "/key", ServerName: "mesos.example.com"}), nil},
		{"the system's certificates", tls(https, config.TLS{}), nil},
		{"enabled for entries without scheme", tls("a:5050", config.TLS{Enabled: true, CAFile: "/ca"}), nil},
		{"enabled for masters found in ZooKeeper", only("zk://a/mesos", config.TLS{Enabled: true, CertFile: "/crt", KeyFile: "/key"}), nil},
		{"enabled against an entry", tls("http://a:5050", config.TLS{Enabled: true}), []string{"FieldValueInvalid masters[1]"}},
		{"nobody speaks https", tls("http://a:5050", config.TLS{CAFile: "/ca", ServerName: "a"}), []string{forbidden + "caFile"}},
		{"nobody speaks https to show a certificate to", tls("a:5050", config.TLS{CertFile: "/crt", KeyFile: "/key"}), []string{forbidden + "certFile"}},
		{"nobody speaks https to have a name", tls("a:5050", config.TLS{ServerName: "a"}), []string{forbidden + "serverName"}},
		{"ZooKeeper does not say https", only("zk://a/mesos", config.TLS{CAFile: "/ca"}), []string{forbidden + "caFile"}},
		{"certificate without key", tls(https, config.TLS{CertFile: "/crt"}), []string{"FieldValueRequired tls.keyFile"}},
		{"key without certificate", tls(https, config.TLS{KeyFile: "/key"}), []string{"FieldValueRequired tls.certFile"}},
		{"relative files", tls(https, config.TLS{CAFile: "ca", CertFile: "crt", KeyFile: "key"}),
			[]string{"FieldValueInvalid tls.caFile", "FieldValueInvalid tls.certFile", "FieldValueInvalid tls.keyFile"}},
		{"server name with port", tls(https, config.TLS{ServerName: "a:5050"}), []string{"FieldValueInvalid tls.serverName"}},
		{"address as server name", tls(https, config.TLS{ServerName: "10.0.0.1"}), nil},
	})
}

func TestZooKeeperAuthFile(t *testing.T) {
	type args = config.MesosOffersArgs
	auth := func(master, file string) func(*args) {
		return func(a *args) { a.Masters, a.ZooKeeper.AuthFile = []string{master}, file }
	}
	judgeCases(t, []fieldsCase{
		{"with ZooKeeper", auth("zk://a/mesos", "/auth"), nil},
		{"relative", auth("zk://a/mesos", "auth"), []string{"FieldValueInvalid zookeeper.authFile"}},
		{"without ZooKeeper", auth("a:5050", "/auth"), []string{"FieldValueForbidden zookeeper.authFile"}},
	})
}

func TestClaimsAndMaintenance(t *testing.T) {
	type args = config.MesosOffersArgs
	judgeCases(t, []fieldsCase{
		{"claims that are acquired anew, for ever", func(a *args) { a.Claims.OnLost, a.Claims.ReacquireTimeout.Duration = "Reacquire", 0 }, nil},
		{"claims that pods live without", func(a *args) { a.Claims.OnLost = "Keep" }, nil},
		{"unknown end of claims", func(a *args) { a.Claims.OnLost = "Delete" }, []string{"FieldValueNotSupported claims.onLost"}},
		{"deactivated agents", func(a *args) { a.Maintenance.CordonedNodes = "Deactivate" }, nil},
		{"drained agents, without end", func(a *args) { a.Maintenance = config.Maintenance{CordonedNodes: "Drain"} }, nil},
		{"unknown use of cordons", func(a *args) { a.Maintenance.CordonedNodes = "drain" }, []string{"FieldValueNotSupported maintenance.cordonedNodes"}},
		{"a removed framework waits", func(a *args) { a.Framework.OnRemoved = "Wait" }, nil},
		{"unknown end of frameworks", func(a *args) { a.Framework.OnRemoved = "Exit" }, []string{"FieldValueNotSupported framework.onRemoved"}},
	})
}

// TestConnectionMessages: errors say what to do, name the other field with its
// whole path, and repeat nothing that may be a secret.
func TestConnectionMessages(t *testing.T) {
	args := validArgs(t)
	args.Masters = []string{"http://a:5050", "zk://me:hunter2@a/mesos", "zk://a/mesos"}
	args.Authentication.SecretFile, args.Authentication.TokenFile = "hunter2", "/t"
	args.TLS.CAFile, args.TLS.KeyFile = "/ca", "/key"
	args.ZooKeeper.AuthFile = "me:hunter2"
	want := []string{
		`masters[1]: Invalid value: "<not shown>": must not hold user:password@, since this configuration is logged: name a file that holds them in zookeeper.authFile`,
		`masters[2]: Forbidden: a zk:// entry must be the only one of masters: list all hosts of the ensemble in it, parted by commas`,
		`authentication.secretFile: Invalid value: "<not shown>": must be the absolute path of a file, for example /etc/kube-mesos/secret`,
		`authentication.tokenFile: Forbidden: must not be set together with authentication.secretFile: a request has room for one of them`,
		`framework.principal: Required value: authentication.secretFile holds the secret of this principal`,
		`tls.certFile: Required value: the certificate of tls.keyFile`,
		`tls.caFile: Forbidden: only allowed if https is spoken: write https:// before the entries of masters or set tls.enabled to true`,
		`zookeeper.authFile: Invalid value: "<not shown>": must be the absolute path of a file, for example /etc/kube-mesos/secret`,
	}
	errs := validation.ValidateMesosOffersArgs(nil, args)
	var got []string
	for _, err := range errs {
		got = append(got, err.Error())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if strings.Contains(strings.Join(got, ""), "hunter2") {
		t.Errorf("an error repeats a password: %v", got)
	}
}
