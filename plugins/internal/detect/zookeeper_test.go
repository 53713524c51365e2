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
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
)

// patience bounds waits for what must come; in virtual time it costs nothing.
const patience = 2 * time.Minute

// rig is a detector and the ZooKeeper it follows.
type rig struct {
	*line
	t       *testing.T
	z       *zooKeeper
	news    chan struct{}
	log     *lockedBuffer
	cancel  func()
	running sync.WaitGroup
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func newRig(t *testing.T, w world) *rig {
	return &rig{line: &line{world: w}, t: t, news: make(chan struct{}, 1), log: &lockedBuffer{}}
}

// run makes the detector and lets it run until stop.
func (r *rig) run(opts Options) {
	r.t.Helper()
	opts.Dial = r.line.dial
	d, err := New([]string{r.entry()}, opts)
	if err != nil {
		r.t.Fatal(err)
	}
	r.z = d.(*zooKeeper)
	r.z.observe = func() {
		select {
		case r.news <- struct{}{}:
		default:
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ctx = klog.NewContext(ctx, textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(r.log), textlogger.Verbosity(10))))
	r.cancel = cancel
	r.running.Go(func() { r.z.Run(ctx) })
	r.t.Cleanup(r.stop)
}

func (r *rig) stop() {
	r.cancel()
	r.running.Wait()
}

// master is the node of a master.
func master(ip string) string {
	return fmt.Sprintf(`{"address":{"hostname":"m-%s","ip":"%s","port":5050}}`, ip, ip)
}

// wants waits until these are the candidates, the first leading or not, and the
// error has a text in it, or there is none if that is empty.
func (r *rig) wants(leading bool, complaint string, ips ...string) {
	r.t.Helper()
	var want []string
	for _, ip := range ips {
		want = append(want, fmt.Sprintf("http://%s:5050 m-%s", ip, ip))
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for {
		got, err := r.z.Candidates(ctx)
		leader, leads := r.z.Leader()
		complained := err != nil
		if complaint != "" {
			complained = err != nil && strings.Contains(err.Error(), complaint)
		}
		if slices.Equal(short(got), want) && complained == (complaint != "") && leads == leading && (!leads || *leader.URL == *got[0].URL) {
			return
		}
		select {
		case <-r.news:
		case <-ctx.Done():
			r.t.Fatalf("got %v, leading %t, error %v; want %v, %t, %q", short(got), leads, err, want, leading, complaint)
		}
	}
}

// changed takes the next value of Changed, or fails if there is none.
func (r *rig) changed(want bool) {
	r.t.Helper()
	select {
	case <-r.z.Changed():
		if !want {
			r.t.Error("a change is told")
		}
	default:
		if want {
			r.t.Error("no change is told")
		}
	}
}

const first, second, third = "json.info_0000000003", "json.info_0000000005", "json.info_0000000010"

type nodes = map[string]string

// scenarios are what happens to a ZooKeeper that masters use, and how the detector
// takes it.
var scenarios = []struct {
	name string
	run  func(r *rig)
}{
	{"masters come and go", func(r *rig) {
		r.set(nodes{second: master("10.0.0.2"), first: master("10.0.0.1"), "log_replicas": ""}, "")
		r.run(Options{})
		r.wants(true, "", "10.0.0.1", "10.0.0.2")
		r.changed(true)
		// One more follower is no change of the leader.
		r.set(nodes{third: master("10.0.0.3"), second: master("10.0.0.2"), first: master("10.0.0.1")}, "")
		r.wants(true, "", "10.0.0.1", "10.0.0.2", "10.0.0.3")
		r.changed(false)
		r.set(nodes{third: master("10.0.0.3"), second: master("10.0.0.2")}, "")
		r.wants(true, "", "10.0.0.2", "10.0.0.3")
		r.changed(true)
		// The old leader comes back behind the others.
		r.set(nodes{third: master("10.0.0.3"), second: master("10.0.0.2"), "json.info_0000000011": master("10.0.0.1")}, "")
		r.wants(true, "", "10.0.0.2", "10.0.0.3", "10.0.0.1")
		r.changed(false)
	}},
	{"all masters vanish", func(r *rig) {
		r.set(nodes{first: master("10.0.0.1")}, "")
		r.run(Options{})
		r.wants(true, "", "10.0.0.1")
		r.changed(true)
		r.set(nodes{}, "")
		r.wants(false, "no master has registered")
		r.changed(true)
		r.set(nodes{second: master("10.0.0.1")}, "")
		r.wants(true, "", "10.0.0.1")
		r.changed(true)
	}},
	{"there is no node yet, and none any more", func(r *rig) {
		r.set(nil, "")
		r.run(Options{})
		r.wants(false, "no master has registered")
		r.set(nodes{}, "")
		r.wants(false, "no master has registered")
		r.set(nodes{first: master("10.0.0.1")}, "")
		r.wants(true, "", "10.0.0.1")
		r.set(nil, "")
		r.wants(false, "no master has registered")
		r.set(nodes{first: master("10.0.0.2")}, "")
		r.wants(true, "", "10.0.0.2")
	}},
	{"a master says something else", func(r *rig) {
		r.set(nodes{first: master("10.0.0.1"), second: master("10.0.0.2")}, "")
		r.run(Options{})
		r.wants(true, "", "10.0.0.1", "10.0.0.2")
		r.changed(true)
		r.set(nodes{first: master("10.0.0.9"), second: master("10.0.0.2")}, "")
		r.wants(true, "", "10.0.0.9", "10.0.0.2")
		r.changed(true)
	}},
	{"a leader that cannot be understood", func(r *rig) {
		r.set(nodes{first: "garbage", second: master("10.0.0.2")}, "")
		r.run(Options{})
		r.wants(false, first, "10.0.0.2")
		r.set(nodes{second: master("10.0.0.2")}, "")
		r.wants(true, "", "10.0.0.2")
	}},
	{"masters that are too old", func(r *rig) {
		r.set(nodes{"info_0000000001": "\x0a\x01x"}, "")
		r.run(Options{})
		r.wants(false, "older than Mesos 0.24")
		r.set(nodes{"info_0000000001": "\x0a\x01x", first: master("10.0.0.1")}, "")
		r.wants(true, "older than Mesos 0.24", "10.0.0.1")
	}},
	{"ZooKeeper is away for a while", func(r *rig) {
		r.set(nodes{first: master("10.0.0.1"), second: master("10.0.0.2")}, "")
		r.run(Options{})
		r.wants(true, "", "10.0.0.1", "10.0.0.2")
		r.changed(true)
		r.world.stop()
		r.wants(true, "is away, the masters it knew last are used", "10.0.0.1", "10.0.0.2")
		r.world.start()
		r.wants(true, "", "10.0.0.1", "10.0.0.2")
		r.changed(false)
		r.set(nodes{second: master("10.0.0.2")}, "")
		r.wants(true, "", "10.0.0.2")
		r.changed(true)
	}},
	{"the leader changes while we are cut off", func(r *rig) {
		r.set(nodes{first: master("10.0.0.1"), second: master("10.0.0.2")}, "")
		r.run(Options{})
		r.wants(true, "", "10.0.0.1", "10.0.0.2")
		r.cut()
		r.wants(true, "is away", "10.0.0.1", "10.0.0.2")
		r.set(nodes{second: master("10.0.0.2")}, "")
		r.heal()
		r.wants(true, "", "10.0.0.2")
	}},
	{"cut off from the start", func(r *rig) {
		r.set(nodes{first: master("10.0.0.1")}, "")
		r.cut()
		r.run(Options{})
		r.wants(false, "does not tell where the masters are")
		r.heal()
		r.wants(true, "", "10.0.0.1")
	}},
	{"the session expires", func(r *rig) {
		r.set(nodes{first: master("10.0.0.1"), second: master("10.0.0.2")}, "")
		r.run(Options{})
		for range 3 {
			r.wants(true, "", "10.0.0.1", "10.0.0.2")
			if err := r.expire(r.t.Context()); err != nil {
				r.t.Fatal(err)
			}
			r.wants(true, "is away", "10.0.0.1", "10.0.0.2")
			r.wants(true, "", "10.0.0.1", "10.0.0.2")
		}
		r.set(nodes{second: master("10.0.0.2")}, "")
		r.wants(true, "", "10.0.0.2")
	}},
	{"all at once", func(r *rig) {
		const seed = 20160809
		random := rand.New(rand.NewPCG(seed, 0))
		r.set(nodes{}, "")
		r.run(Options{})
		for range 40 {
			now := nodes{}
			for _, name := range []string{first, second, third} {
				if random.IntN(2) == 0 {
					now[name] = master(fmt.Sprintf("10.0.0.%d", random.IntN(3)))
				}
			}
			if random.IntN(20) == 0 {
				now = nil
			}
			r.set(now, "")
			switch random.IntN(12) {
			case 0:
				r.cut()
			case 1, 2, 3:
				r.heal()
			}
		}
		r.heal()
		r.set(nodes{second: master("10.0.0.2"), third: master("10.0.0.3")}, "")
		r.wants(true, "", "10.0.0.2", "10.0.0.3")
	}},
	{"a user and password are asked for", func(r *rig) {
		r.set(nodes{first: master("10.0.0.1")}, "me:s3cret")
		r.run(Options{})
		r.wants(false, "check user and password")
	}},
	{"a wrong password is corrected in its file", func(r *rig) {
		file := filepath.Join(r.t.TempDir(), "auth")
		write := func(text string) {
			r.t.Helper()
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				r.t.Fatal(err)
			}
		}
		write("me:wr0ng\n")
		r.set(nodes{first: master("10.0.0.1")}, "me:s3cret")
		r.run(Options{ZooKeeperAuthFile: file})
		r.wants(false, "check user and password")
		write("")
		r.wants(false, file+" holds is not of the form user:password")
		write("me:s3cret\n")
		r.wants(true, "", "10.0.0.1")
		// It is read again for each connection.
		write("me:wr0ng\n")
		r.cut()
		r.wants(true, "is away", "10.0.0.1")
		r.heal()
		r.wants(true, "check user and password", "10.0.0.1")
	}},
}

func (r *rig) play(run func(r *rig)) {
	run(r)
	r.stop()
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	for _, secret := range []string{"s3cret", "wr0ng"} {
		if strings.Contains(r.log.String(), secret) {
			r.t.Errorf("the log has a secret: %s", r.log)
		}
		if _, err := r.z.Candidates(r.t.Context()); err != nil && strings.Contains(err.Error(), secret) {
			r.t.Errorf("the error has a secret: %v", err)
		}
	}
}

func TestEmulatedZooKeeper(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newRig(t, newVirtual(t)).play(s.run) })
		})
	}
}

// The same with a real ZooKeeper, where Debian's package libzookeeper-java is.
func TestRealZooKeeper(t *testing.T) {
	if err := realProblem(); err != nil {
		if os.Getenv("ZOOKEEPER_REQUIRED") != "" {
			t.Fatalf("ZOOKEEPER_REQUIRED is set, but there is none: %v", err)
		}
		t.Logf("ATTENTION: no real ZooKeeper here, so its scenarios ran against the emulated one only (apt-get install zookeeper brings it): %v", err)
		return
	}
	server := newReal(t)
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { newRig(t, server.nodes()).play(s.run) })
	}
}
