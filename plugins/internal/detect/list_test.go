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
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names is a resolver that tests change.
type names map[string][]string

func (n names) resolve(ctx context.Context, host string) ([]string, error) {
	switch found, ok := n[host]; {
	case !ok:
		return nil, errors.New("no such host")
	case len(found) == 1 && found[0] == "never":
		<-ctx.Done()
		return nil, ctx.Err()
	default:
		return found, nil
	}
}

// short is candidates as text.
func short(cs []Candidate) []string {
	var out []string
	for _, c := range cs {
		out = append(out, c.URL.String()+" "+c.ServerName)
	}
	return out
}

func TestCandidatesOfAList(t *testing.T) {
	n := names{"one": {"10.0.0.1"}, "two": {"10.0.0.2", "fd00::2"}, "again": {"10.0.0.2", "10.0.0.3"}, "none": {}, "slow": {"never"}}
	tests := []struct {
		name    string
		masters []string
		want    []string
		err     []string
	}{
		{"addresses are not resolved", []string{"10.0.0.9", "[fd00::9]:80"}, []string{"http://10.0.0.9:5050 10.0.0.9", "http://[fd00::9]:80 fd00::9"}, nil},
		{"a name with one address", []string{"https://one"}, []string{"https://one:5050 one"}, nil},
		{"a name with several", []string{"two:80"}, []string{"http://10.0.0.2:80 two", "http://[fd00::2]:80 two"}, nil},
		{"in order, each once", []string{"two", "10.0.0.1", "again"}, []string{
			"http://10.0.0.2:5050 two", "http://[fd00::2]:5050 two", "http://10.0.0.1:5050 10.0.0.1", "http://10.0.0.3:5050 again",
		}, nil},
		{"one is unknown", []string{"gone", "one"}, []string{"http://one:5050 one"}, []string{"master gone", "no such host"}},
		{"without addresses", []string{"none"}, nil, []string{"master none", "no address"}},
		{"one is slow", []string{"slow", "one"}, []string{"http://one:5050 one"}, []string{"master slow", "deadline"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, err := New(test.masters, Options{Resolve: n.resolve})
				if err != nil {
					t.Fatal(err)
				}
				got, err := d.Candidates(t.Context())
				if !slices.Equal(short(got), test.want) {
					t.Errorf("got %q, want %q", short(got), test.want)
				}
				if (err != nil) != (test.err != nil) {
					t.Errorf("error is %v", err)
				}
				for _, want := range test.err {
					if err != nil && !strings.Contains(err.Error(), want) {
						t.Errorf("error %q has no %q", err, want)
					}
				}
				if _, ok := d.Leader(); ok || d.Changed() != nil {
					t.Error("a list knows no leader")
				}
			})
		})
	}
}

// A name is resolved by each call; what it stood for before is used while it cannot
// be.
func TestNamesAreResolvedAnew(t *testing.T) {
	n := names{"m": {"10.0.0.1", "10.0.0.2"}}
	d, err := New([]string{"m"}, Options{Resolve: n.resolve})
	if err != nil {
		t.Fatal(err)
	}
	step := func(want []string, complaint string) {
		t.Helper()
		got, err := d.Candidates(t.Context())
		if !slices.Equal(short(got), want) || (err != nil) != (complaint != "") || err != nil && !strings.Contains(err.Error(), complaint) {
			t.Errorf("got %q, %v, want %q, %q", short(got), err, want, complaint)
		}
	}
	step([]string{"http://10.0.0.1:5050 m", "http://10.0.0.2:5050 m"}, "")
	n["m"] = []string{"10.0.0.3", "10.0.0.2"}
	step([]string{"http://10.0.0.3:5050 m", "http://10.0.0.2:5050 m"}, "")
	delete(n, "m")
	step([]string{"http://10.0.0.3:5050 m", "http://10.0.0.2:5050 m"}, "addresses of before")
	n["m"] = []string{"10.0.0.4"}
	step([]string{"http://m:5050 m"}, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := d.Candidates(ctx); len(got) != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v after the end", got, err)
	}
}

func TestRunOfAListEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := New([]string{"m"}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		d.Run(ctx)
	})
}
