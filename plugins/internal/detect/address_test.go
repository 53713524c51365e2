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

package detect

import (
	"slices"
	"strings"
	"testing"
)

func TestParseMaster(t *testing.T) {
	tests := []struct {
		text  string
		https bool
		want  string
		err   string
	}{
		{text: "m1", want: "http://m1:5050"},
		{text: "m1:80", want: "http://m1:80"},
		{text: "http://m1", want: "http://m1:5050"},
		{text: "https://m1/", want: "https://m1:5050"},
		{text: "https://m1:443", want: "https://m1:443"},
		{text: "[fd00::1]", want: "http://[fd00::1]:5050"},
		{text: "10.0.0.1:5051", https: true, want: "https://10.0.0.1:5051"},
		{text: "https://m1", https: true, want: "https://m1:5050"},
		{text: "http://m1", https: true, err: `"m1": plain http`},
		{text: "", err: "no host"},
		{text: "http://", err: "no host"},
		{text: "ftp://m1", err: `scheme "ftp"`},
		{text: "m1:0", err: "1 to 65535"},
		{text: "m1:65536", err: "1 to 65535"},
		{text: "m1:http", err: "cannot be parsed"},
		{text: "fd00::1", err: "cannot be parsed"},
		{text: "m1/mesos", err: `"m1": there is more`},
		{text: "m1?password=s3cret", err: `"m1": there is more`},
		{text: "m1#s3cret", err: `"m1": there is more`},
		{text: "me:s3cret@m1", err: `"m1": credentials`},
		{text: "https://me:s3cret@m1:5050", err: `"m1:5050": credentials`},
		{text: "http://me:s3cret@m1:x", err: "cannot be parsed"},
		{text: "zk://m1/mesos", err: "must be the only one"},
		{text: "zk://me:s3cret@m1/mesos", err: "credentials"},
	}
	for _, test := range tests {
		u, err := parseMaster(test.text, test.https)
		switch {
		case err != nil && (test.err == "" || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "s3cret")):
			t.Errorf("%q: error %q, want %q and no secret", test.text, err, test.err)
		case err == nil && (test.err != "" || u.String() != test.want):
			t.Errorf("%q: %s, want %q or an error with %q", test.text, u, test.want, test.err)
		}
	}
}

func TestParseEnsemble(t *testing.T) {
	tests := []struct {
		text string
		want string
		auth string
		err  string
	}{
		{text: "zk://a/mesos", want: "zk://a:2181/mesos"},
		{text: "zk://a:2182,b,[fd00::1],[fd00::2]:2183/mesos/prod/", want: "zk://a:2182,b:2181,[fd00::1]:2181,[fd00::2]:2183/mesos/prod"},
		{text: "zk://me:s3cret@a,b/mesos", want: "zk://a:2181,b:2181/mesos", auth: "me:s3cret"},
		{text: "zk://me:s3cr@t/x@a/mesos", want: "zk://a:2181/mesos", auth: "me:s3cr@t/x"},
		{text: "zk://s3cret@a/mesos", err: "user:password"},
		{text: "zk://a", err: "path"},
		{text: "zk://a/", err: "path"},
		{text: "zk:///mesos", err: "host cannot be parsed"},
		{text: "zk://", err: "path"},
		{text: "zk://a,,b/mesos", err: "host cannot be parsed"},
		{text: "zk://a,b?/mesos", err: "host cannot be parsed"},
		{text: "zk://fd00::1/mesos", err: "host cannot be parsed"},
		{text: "zk://a:0/mesos", err: "1 to 65535"},
		{text: "zk://a/mesos//prod", err: "no path"},
		{text: "zk://a/mesos/../prod", err: "no path"},
		{text: "zk://a/me\x00sos", err: "no path"},
	}
	for _, test := range tests {
		e, err := parseEnsemble(test.text, true)
		switch {
		case err != nil && (test.err == "" || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "s3cret")):
			t.Errorf("%q: error %q, want %q and no secret", test.text, err, test.err)
		case err == nil && (test.err != "" || e.String() != test.want || e.auth != test.auth):
			t.Errorf("%q: %s with %q, want %q with %q or an error with %q", test.text, e, e.auth, test.want, test.auth, test.err)
		}
	}
	if _, err := parseEnsemble("zk://me:s3cret@a/mesos", false); err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "file") {
		t.Errorf("error is %v, want one that names the way with a file and not the password", err)
	}
}

func TestNewSaysWhatIsWrongWithEachEntry(t *testing.T) {
	_, err := New([]string{"m1", "me:s3cret@m2", "zk://m3/mesos", "m4/x"}, Options{})
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{"masters[1]", "masters[2]", "masters[3]"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q says nothing of %s", err, want)
		}
	}
	for _, not := range []string{"masters[0]", "s3cret"} {
		if strings.Contains(err.Error(), not) {
			t.Errorf("error %q has %s", err, not)
		}
	}
	if _, err := New(nil, Options{}); err == nil {
		t.Error("want an error without masters")
	}
	for _, two := range [][]string{{"zk://a/mesos", "zk://b/mesos"}, {"zk://a/mesos", "m1"}} {
		if _, err := New(two, Options{}); err == nil || !strings.Contains(err.Error(), "only one") {
			t.Errorf("%v: error %v", two, err)
		}
	}
}

func TestMasterNodes(t *testing.T) {
	nodes, old := masterNodes([]string{
		"json.info_0000000012", "log_replicas", "info_0000000001", "json.info_0000000003", "json.info_0000000007", "json.info_", "json.info_3",
		"json.info_000000000x", "info_x", "json.info_00000000001", "_c_json.info_0000000001",
	})
	if want := []string{"json.info_0000000003", "json.info_0000000007", "json.info_0000000012"}; !slices.Equal(nodes, want) || old != 1 {
		t.Errorf("got %v and %d old, want %v and 1", nodes, old, want)
	}
}

func TestParseMasterInfo(t *testing.T) {
	tests := []struct {
		name, data string
		https      bool
		want, as   string
		err        string
	}{
		{name: "as recorded", data: `{"address":{"hostname":"127.0.0.1","ip":"127.0.0.1","port":17040},"capabilities":[{"type":"AGENT_UPDATE"},{"type":"AGENT_DRAINING"},{"type":"QUOTA_V2"}],` +
			`"hostname":"127.0.0.1","id":"b5a4ed0b","ip":16777343,"pid":"master@127.0.0.1:17040","port":17040,"version":"1.12.0"}`, want: "http://127.0.0.1:17040", as: "127.0.0.1"},
		{name: "address before name", data: `{"address":{"hostname":"m1.example.com","ip":"10.0.0.1","port":5050}}`, want: "http://10.0.0.1:5050", as: "m1.example.com"},
		{name: "https", https: true, data: `{"address":{"hostname":"m1.example.com","ip":"10.0.0.1","port":5050}}`, want: "https://10.0.0.1:5050", as: "m1.example.com"},
		{name: "IPv6", data: `{"address":{"hostname":"m1","ip":"fd00::1","port":5050}}`, want: "http://[fd00::1]:5050", as: "m1"},
		{name: "no name", data: `{"address":{"ip":"10.0.0.1","port":5050}}`, want: "http://10.0.0.1:5050", as: "10.0.0.1"},
		{name: "no address", data: `{"address":{"hostname":"m1","port":5050}}`, want: "http://m1:5050", as: "m1"},
		{name: "any address", data: `{"address":{"hostname":"m1","ip":"0.0.0.0","port":5050}}`, want: "http://m1:5050", as: "m1"},
		{name: "before 0.24", data: `{"hostname":"m1","ip":16777226,"port":5050}`, want: "http://10.0.0.1:5050", as: "m1"},
		{name: "no JSON", data: "\n\x05hello", err: "no JSON"},
		{name: "empty", data: ``, err: "no JSON"},
		{name: "nothing", data: `{}`, err: "port 0"},
		{name: "no port", data: `{"address":{"ip":"10.0.0.1"}}`, err: "port 0"},
		{name: "odd port", data: `{"address":{"ip":"10.0.0.1","port":70000}}`, err: "port 70000"},
		{name: "nowhere", data: `{"address":{"port":5050}}`, err: "neither"},
		{name: "a path", data: `{"address":{"hostname":"m1/evil","port":5050}}`, err: "neither"},
	}
	for _, test := range tests {
		c, err := parseMasterInfo([]byte(test.data), test.https)
		switch {
		case err != nil && (test.err == "" || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s: error %q, want %q", test.name, err, test.err)
		case err == nil && (test.err != "" || c.URL.String() != test.want || c.ServerName != test.as):
			t.Errorf("%s: %s as %q, want %q as %q or an error with %q", test.name, c.URL, c.ServerName, test.want, test.as, test.err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"m1", "https://[fd00::1]:5050", "zk://a:2181,b/mesos", "zk://u:p@a/m", `{"address":{"ip":"10.0.0.1","port":5050}}`, "a@b@c", "zk://@/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := parseMaster(s, false); err == nil && (u.Hostname() == "" || u.Port() == "") {
			t.Errorf("%q gives %s", s, u)
		}
		if e, err := parseEnsemble(s, true); err == nil && (len(e.hosts) == 0 || e.path == "" || strings.Contains(e.String(), "@")) {
			t.Errorf("%q gives %s", s, e)
		}
		if c, err := parseMasterInfo([]byte(s), true); err == nil && (c.URL.Hostname() == "" || c.URL.Port() == "" || c.ServerName == "") {
			t.Errorf("%q gives %s", s, c.URL)
		}
	})
}
