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
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
	emulated "github.com/kube-mesos/kube-mesos/test/mesosmaster/zk"
)

// byHost is a world of several hosts, by address; those that are not there refuse.
type byHost struct {
	world
	address string
	hosts   map[string]func() (net.Conn, error)

	mu     sync.Mutex
	dialed []string
}

func (b *byHost) entry() string { return b.address }

func (b *byHost) dial(_ context.Context, address string) (net.Conn, error) {
	b.mu.Lock()
	b.dialed = append(b.dialed, address)
	b.mu.Unlock()
	if dial := b.hosts[address]; dial != nil {
		return dial()
	}
	return nil, errors.New("connection refused by " + address)
}

// answering is a server of few words: it says the same to everybody, or nothing.
func answering(text string) func() (net.Conn, error) {
	return func() (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			go func() { _, _ = io.Copy(io.Discard, server) }() // ends with the connection
			if text == "" {
				_, _ = server.Read(make([]byte, 1<<20)) // the greeting
				<-time.After(time.Hour)
				return
			}
			_, _ = server.Write([]byte(text)) // the client may have gone
		}()
		return client, nil
	}
}

func TestHostsThatAreNoZooKeeper(t *testing.T) {
	length := func(n uint32, body string) string {
		return string(binary.BigEndian.AppendUint32(nil, n)) + body
	}
	greeting := length(36, "\x00\x00\x00\x00\x00\x00\x27\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x10"+strings.Repeat("x", 16))
	for name, test := range map[string]struct{ text, want string }{
		"a web server":        {"HTTP/1.1 400 Bad Request\r\n\r\n", "not that of a ZooKeeper"},
		"an endless frame":    {length(1<<31, "x"), "not that of a ZooKeeper"},
		"a short greeting":    {length(4, "xxxx"), "not that of a ZooKeeper"},
		"a short frame":       {greeting + length(5, "xxxxx"), "not that of a ZooKeeper"},
		"half a greeting":     {greeting[:9], "EOF"},
		"a greeting, no more": {greeting, "does not tell"},
		"silence":             {"", "i/o timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &byHost{address: "zk://a/mesos", hosts: map[string]func() (net.Conn, error){"a:2181": answering(test.text)}}
				r := newRig(t, w)
				began := time.Now()
				r.run(Options{})
				r.wants(false, test.want)
				if waited := time.Since(began); waited > defaultSessionTimeout+5*time.Second {
					t.Errorf("known after %v", waited)
				}
				// Nothing is tried in a hot loop.
				w.mu.Lock()
				before := len(w.dialed)
				w.mu.Unlock()
				time.Sleep(time.Minute)
				w.mu.Lock()
				if n := len(w.dialed) - before; n > 120 {
					t.Errorf("%d connections in a minute", n)
				}
				w.mu.Unlock()
				r.stop()
				time.Sleep(time.Hour) // until the silent ones go
			})
		})
	}
}

// One host that answers is enough, wherever it stands.
func TestOneHostOfSeveralIsThere(t *testing.T) {
	for _, there := range []string{"a:2181", "b:2182", "c:2181"} {
		synctest.Test(t, func(t *testing.T) {
			v := newVirtual(t)
			v.set(nodes{first: master("10.0.0.1")}, "")
			w := &byHost{world: v, address: "zk://a,b:2182,c/mesos", hosts: map[string]func() (net.Conn, error){there: v.server.Dial}}
			r := newRig(t, w)
			r.run(Options{})
			r.wants(true, "", "10.0.0.1")
		})
	}
}

// Without any, all are tried, and the reason is one of theirs.
func TestNoHostIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &byHost{address: "zk://a,b:2182,c/mesos"}
		r := newRig(t, w)
		r.run(Options{})
		r.wants(false, "connection refused by")
		r.stop()
		slices.Sort(w.dialed)
		if got := slices.Compact(w.dialed); !slices.Equal(got, []string{"a:2181", "b:2182", "c:2181"}) {
			t.Errorf("tried %v", got)
		}
	})
}

// Before there is anything to tell, Candidates waits as long as its context allows.
func TestCandidatesWaitForTheFirstNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := New([]string{"zk://a/mesos"}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.Candidates(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "zk://a:2181/mesos has not answered yet") {
			t.Errorf("error is %v", err)
		}
		if _, ok := d.Leader(); ok {
			t.Error("nobody can know of a leader")
		}
	})
}

func TestNewWithZooKeeper(t *testing.T) {
	for _, test := range []struct {
		name, entry string
		opts        Options
		err         string
	}{
		{"inline password", "zk://me:s3cret@a/mesos", Options{}, "name a file"},
		{"inline and file", "zk://me:s3cret@a/mesos", Options{InlinePassword: true, ZooKeeperAuthFile: "/dev/null"}, "only one"},
		{"no such file", "zk://a/mesos", Options{ZooKeeperAuthFile: "/does/not/exist"}, "/does/not/exist: no such file"},
		{"empty file", "zk://a/mesos", Options{ZooKeeperAuthFile: "/dev/null"}, "/dev/null holds is not of the form"},
		{"no path", "zk://a", Options{}, "path"},
	} {
		if _, err := New([]string{test.entry}, test.opts); err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: error %v, want one with %q and no secret", test.name, err, test.err)
		}
	}
}

// The masters themselves elect through the ZooKeeper that tells us: the leader's
// death shows when its session has ended; ZooKeeper's death ends its lead, while we
// keep what we knew; its return brings another.
func TestMastersOfAnEnsemble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := func(ip string) mesosmaster.Address {
			return mesosmaster.Address{Hostname: "m-" + ip, IP: ip, Port: 5050}
		}
		e, err := mesosmaster.NewEnsemble(mesosmaster.EnsembleConfig{
			Addresses: []mesosmaster.Address{at("10.0.0.1"), at("10.0.0.2"), at("10.0.0.3")}, ZooKeeperReader: "me:s3cret",
		})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		server := emulated.NewServer(e)
		defer server.Close()
		r := newRig(t, &byHost{address: "zk://me:s3cret@a/mesos", hosts: map[string]func() (net.Conn, error){"a:2181": server.Dial}})
		r.run(Options{InlinePassword: true})
		r.wants(true, "", "10.0.0.1", "10.0.0.2", "10.0.0.3")
		r.changed(true)
		e.Kill(0)
		began := time.Now()
		r.wants(true, "", "10.0.0.2", "10.0.0.3")
		if waited := time.Since(began); waited < 5*time.Second || waited > 11*time.Second {
			t.Errorf("the change came after %v, want the session timeout", waited)
		}
		r.changed(true)
		if err := e.Begin(0); err != nil {
			t.Fatal(err)
		}
		r.wants(true, "", "10.0.0.2", "10.0.0.3", "10.0.0.1")
		r.changed(false)
		e.StopZooKeeper()
		r.wants(true, "is away", "10.0.0.2", "10.0.0.3", "10.0.0.1")
		time.Sleep(time.Minute)
		r.changed(false)
		e.StartZooKeeper()
		r.wants(true, "", "10.0.0.1", "10.0.0.3")
		if i, ok := e.Leader(); !ok || i != 0 {
			t.Errorf("master %d leads, %t", i, ok)
		}
		r.changed(true)
	})
}
