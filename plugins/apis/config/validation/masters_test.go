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

	"github.com/kube-mesos/kube-mesos/plugins/apis/config/validation"
	"github.com/kube-mesos/kube-mesos/plugins/internal/detect"
)

func TestMasters(t *testing.T) {
	const invalid, duplicate = "FieldValueInvalid masters[", "FieldValueDuplicate masters["
	tests := []struct {
		name    string
		masters []string
		want    []string
	}{
		{"one of each form", []string{"a:5050", "http://b:5050", "https://c.example.com:443"}, nil},
		{"addresses", []string{"10.0.0.1:5050", "[fd00::1]:5050", "http://[fd00::2]:5050"}, nil},
		{"one host, two ports", []string{"a:5050", "a:5051"}, nil},
		{"none", nil, []string{"FieldValueRequired masters"}},
		{"empty", []string{""}, []string{invalid + "0]"}},
		{"no port", []string{"a", "http://a", "[fd00::1]"}, []string{invalid + "0]", invalid + "1]", invalid + "2]"}},
		{"bad port", []string{"a:", "a:0", "a:65536", "a:http", "a:+1", "a:-1"},
			[]string{invalid + "0]", invalid + "1]", invalid + "2]", invalid + "3]", invalid + "4]", invalid + "5]"}},
		{"no host", []string{":5050", "http://:5050"}, []string{invalid + "0]", invalid + "1]"}},
		{"bad host", []string{"a b:5050", "fd00::1:5050", "a..b:5050"}, []string{invalid + "0]", invalid + "1]", invalid + "2]"}},
		{"path, query, fragment", []string{"http://a:5050/", "a:5050/x", "a:5050?x", "a:5050#x"},
			[]string{invalid + "0]", invalid + "1]", invalid + "2]", invalid + "3]"}},
		{"other schemes", []string{"file:///a:5050", "ftp://a:21", "HTTP://a:5050"}, []string{invalid + "0]", invalid + "1]", invalid + "2]"}},
		{"duplicates", []string{"a:5050", "A:5050", "http://a:5050", "https://a:05050"},
			[]string{duplicate + "1]", duplicate + "2]", duplicate + "3]"}},
		{"duplicate address", []string{"[fd00::1]:5050", "[fd00:0::1]:5050"}, []string{duplicate + "1]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := validArgs(t)
			args.Masters = tt.masters
			errs := validation.ValidateMesosOffersArgs(nil, args)
			if diff := cmp.Diff(tt.want, summary(errs)); diff != "" {
				t.Errorf("errors (-want +got):\n%s\n%v", diff, errs)
			}
		})
	}
}

// zooKeeperCase is an entry of masters; want is a part of the error's detail,
// empty if there must be none.
type zooKeeperCase struct{ name, entry, want string }

func zooKeeperCases() []zooKeeperCase {
	return []zooKeeperCase{
		{"one host", "zk://a:2181/mesos", ""},
		{"an ensemble", "zk://a:2181,b.example.com:2182,10.0.0.1:2181/mesos/prod", ""},
		{"ports left out", "zk://a,[fd00::1],10.0.0.1/mesos", ""},
		{"IPv6 with port", "zk://[fd00::1]:2181,[fd00::2]:2181/mesos", ""},
		{"dots within a step", "zk://a/..mesos/v1.0", ""},
		{"IPv6 without brackets", "zk://fd00::1:2181/mesos", "an IPv6 address in brackets"},
		{"no path", "zk://a:2181", "with the path of the node"},
		{"ZooKeeper's root", "zk://a:2181/", "with the path of the node"},
		{"nothing", "zk://", "host being a host name"},
		{"no host", "zk:///mesos", "host being a host name"},
		{"a comma too many", "zk://a,b,/mesos", "host being a host name"},
		{"blank between hosts", "zk://a, b/mesos", "host being a host name"},
		{"bad port", "zk://a:99999/mesos", "from 1 to 65535"},
		{"no port after the colon", "zk://a:/mesos", "from 1 to 65535"},
		{"a host twice", "zk://a:2181,A/mesos", "each host once"},
		{"slash at the end", "zk://a/mesos/", "empty steps"},
		{"two slashes", "zk://a/mesos//prod", "empty steps"},
		{"relative path", "zk://a/mesos/../prod", "without . and .."},
		{"blank in the path", "zk://a/me sos", "without blanks"},
		{"control character in the path", "zk://a/me\x00sos", "control characters"},
	}
}

func TestZooKeeper(t *testing.T) {
	for _, tt := range zooKeeperCases() {
		t.Run(tt.name, func(t *testing.T) {
			args := validArgs(t)
			args.Masters = []string{tt.entry}
			errs := validation.ValidateMesosOffersArgs(nil, args)
			if tt.want == "" {
				if len(errs) > 0 {
					t.Error(errs)
				}
				return
			}
			if len(errs) != 1 || errs[0].Field != "masters[0]" || !strings.Contains(errs[0].Detail, tt.want) {
				t.Errorf("got %v, want an error with %q", errs, tt.want)
			}
		})
	}
}

func TestZooKeeperIsTheOnlyEntry(t *testing.T) {
	args := validArgs(t)
	args.Masters = []string{"a:5050", "zk://a:2181/mesos", "zk://b:2181/mesos"}
	errs := validation.ValidateMesosOffersArgs(nil, args)
	want := []string{"FieldValueForbidden masters[1]", "FieldValueForbidden masters[2]"}
	if diff := cmp.Diff(want, summary(errs)); diff != "" {
		t.Errorf("errors (-want +got):\n%s\n%v", diff, errs)
	}
}

// TestDetectorTakesWhatIsValid: what is found to be right at the start is not refused by
// who has to use it.
func TestDetectorTakesWhatIsValid(t *testing.T) {
	lists := [][]string{
		{"a:5050", "http://b:5050", "https://c.example.com:443"}, {"10.0.0.1:5050", "[fd00::1]:5050", "http://[fd00::2]:5050"}, {"A:05050"},
	}
	for _, tt := range zooKeeperCases() {
		if tt.want == "" {
			lists = append(lists, []string{tt.entry})
		}
	}
	for _, masters := range lists {
		args := validArgs(t)
		args.Masters = masters
		if errs := validation.ValidateMesosOffersArgs(nil, args); len(errs) > 0 {
			t.Errorf("%q: %v", masters, errs)
		}
		if _, err := detect.New(masters, detect.Options{}); err != nil {
			t.Errorf("%q is valid, but the detector says: %v", masters, err)
		}
	}
}

func TestErrorsShowNoCredentials(t *testing.T) {
	const secret = "hunter2"
	for _, url := range []string{"http://me:" + secret + "@a:5050", "zk://me:" + secret + "@a:2181/mesos", "me:" + secret + "@a:5050", "http://me:" + secret + "@%zz"} {
		args := validArgs(t)
		args.Masters = []string{url}
		args.Framework.WebUIURL = url
		errs := validation.ValidateMesosOffersArgs(nil, args)
		if len(errs) != 2 {
			t.Errorf("want two errors, got %v", errs)
		}
		if strings.Contains(errs.ToAggregate().Error(), secret) {
			t.Errorf("an error repeats the password: %v", errs)
		}
	}
}
