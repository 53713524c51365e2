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

package core

import (
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// What a framework had of its offers: held, used in part, declined, outstanding.
func TestOfferUse(t *testing.T) {
	c := newCluster(t, Config{}, AgentConfig{Hostname: "n", Resources: "cpus:4;mem:1000"})
	s := c.subscribe(info("a"))
	use := func() OfferUse { return c.m.Frameworks()[0].Use }
	o := s.oneOffer()
	c.pass(2 * time.Second)
	if got, want := use(), (OfferUse{OfferSeconds: 2, CPUSeconds: 8, MemMBSeconds: 2000}); got != want {
		t.Errorf("outstanding: %+v, want %+v", got, want)
	}
	s.must(launch(ptrTo(0.0), []mesos.OfferID{o.ID}, sleep("t", &o, "cpus:1;mem:500")))
	want := OfferUse{OfferSeconds: 2, CPUSeconds: 8, MemMBSeconds: 2000, UsedCPUSeconds: 2, UsedMemMBSeconds: 1000}
	if got := use(); got != want {
		t.Errorf("accepted: %+v, want %+v", got, want)
	}
	c.pass(time.Second)
	o = s.oneOffer()
	c.pass(time.Second)
	s.decline(ptrTo(100.0), o.ID)
	c.pass(5 * time.Second)
	want.OfferSeconds, want.CPUSeconds, want.MemMBSeconds = want.OfferSeconds+1, want.CPUSeconds+3, want.MemMBSeconds+500
	if got := use(); got != want {
		t.Errorf("declined: %+v, want %+v", got, want)
	}
}

// An offer past the allocator is an offer like others, and is made only of what is
// free.
func TestOfferNow(t *testing.T) {
	c := newCluster(t, Config{}, AgentConfig{Hostname: "n", Resources: "cpus:4;mem:1000"})
	s := c.subscribe(info("a"), "a")
	id := c.m.Frameworks()[0].ID
	offer := func(framework, host, resources string) error {
		defer c.settle()
		return c.m.OfferNow(c.now, framework, host, "a", resources)
	}
	for _, bad := range [][3]string{{"nobody", "n", "cpus:1"}, {id, "elsewhere", "cpus:1"}, {id, "n", "cpus:5"}, {id, "n", "cpus:?"}} {
		if err := offer(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
	if err := offer(id, "n", "cpus:3;mem:100"); err != nil {
		t.Fatal(err)
	}
	if err := offer(id, "n", "cpus:2;mem:100"); err == nil {
		t.Error("offered twice")
	}
	o := s.oneOffer()
	s.runTask("t", o, "cpus:3;mem:100")
	if err := offer(id, "n", "cpus:1;mem:100"); err != nil {
		t.Error(err)
	}
	if err := c.m.CheckInvariants(); err != nil {
		t.Error(err)
	}
}
