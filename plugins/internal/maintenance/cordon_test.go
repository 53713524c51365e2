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

package maintenance

import (
	"slices"
	"testing"
	"time"
)

func cordoned(deactivated string) Node {
	return Node{Name: "n1", Host: "n1", Cordoned: true, Deactivated: deactivated}
}

func uncordoned(deactivated string) Node {
	return Node{Name: "n1", Host: "n1", Deactivated: deactivated}
}

func none(string) Holding { return Holding{} }

func off(a *Agent)      { a.Deactivated = true }
func draining(a *Agent) { a.Deactivated, a.Drain = true, &Drain{} }
func drained(a *Agent)  { a.Deactivated, a.Drain = true, &Drain{Drained: true} }

// TestOperations is what is done for one node, as it stands.
func TestOperations(t *testing.T) {
	in := func(*Agent) {}
	for name, test := range map[string]struct {
		mode  Cordoned
		node  Node
		agent func(*Agent)
		hold  Holding
		want  Act
	}{
		"ignored":                          {Ignore, cordoned(""), in, Holding{}, ""},
		"ignored now":                      {Ignore, cordoned("a1"), off, Holding{}, Reactivate},
		"in service":                       {Deactivate, uncordoned(""), in, Holding{}, ""},
		"cordoned":                         {Deactivate, cordoned(""), in, Holding{Claims: 3, Others: 3}, Note},
		"cordoned, another's":              {Deactivate, cordoned(""), off, Holding{}, ""},
		"cordoned, another drains it":      {Deactivate, cordoned(""), draining, Holding{}, ""},
		"noted":                            {Deactivate, cordoned("a1"), in, Holding{Claims: 3, Others: 3}, Off},
		"done":                             {Deactivate, cordoned("a1"), off, Holding{}, ""},
		"uncordoned":                       {Deactivate, uncordoned("a1"), off, Holding{}, Reactivate},
		"uncordoned, in service":           {Deactivate, uncordoned("a1"), in, Holding{}, Forget},
		"uncordoned, another's":            {Deactivate, uncordoned(""), off, Holding{}, ""},
		"noted for one that is gone":       {Deactivate, cordoned("old"), in, Holding{}, Forget},
		"drain waits for pods":             {Empty, cordoned(""), in, Holding{Claims: 2, Others: 1}, ""},
		"drain does not wait for daemons":  {Empty, cordoned(""), in, Holding{Claims: 1}, Note},
		"drain noted":                      {Empty, cordoned("a1"), in, Holding{Claims: 1}, DrainOff},
		"drain noted, but a pod came":      {Empty, cordoned("a1"), in, Holding{Claims: 1, Others: 1}, ""},
		"drains":                           {Empty, cordoned("a1"), draining, Holding{}, ""},
		"drains, uncordoned":               {Empty, uncordoned("a1"), draining, Holding{}, ""},
		"drained":                          {Empty, cordoned("a1"), drained, Holding{}, ""},
		"drained, uncordoned":              {Empty, uncordoned("a1"), drained, Holding{}, Reactivate},
		"uncordoned before it was drained": {Empty, uncordoned("a1"), in, Holding{Claims: 1, Others: 1}, Forget},
	} {
		t.Run(name, func(t *testing.T) {
			b := paired(Config{Cordoned: test.mode})
			b.NodeSet(test.node)
			if got := b.Operations(t0, none); len(got) != 0 {
				t.Errorf("operations before agents are known: %v", got)
			}
			b.AgentsListed(listed(test.agent), t0)
			got := b.Operations(t0, func(string) Holding { return test.hold })
			switch {
			case test.want == "" && len(got) == 0:
			case len(got) != 1 || got[0].Act != test.want || got[0].Node != "n1":
				t.Errorf("operations are %v, want %q", got, test.want)
			}
		})
	}
}

// play does all there is to do until there is nothing more.
func play(b *Book, now time.Time) (acts []Act) {
	for range 10 {
		list := b.Operations(now, none)
		if len(list) == 0 {
			break
		}
		for _, o := range list {
			acts = append(acts, o.Act)
			b.Done(o, now)
		}
	}
	return acts
}

func TestThereAndBack(t *testing.T) {
	b := known(Config{Cordoned: Deactivate})
	b.NodeSet(cordoned(""))
	if got := play(b, at(0.5)); !slices.Equal(got, []Act{Note}) {
		t.Errorf("acts before the agent is known to be still in service are %v", got)
	}
	b.AgentsListed(listed(), at(1))
	if got := play(b, at(1)); !slices.Equal(got, []Act{Off}) {
		t.Errorf("acts are %v", got)
	}
	// Asked for before: it does not know of what we did.
	b.AgentsListed(listed(), t0)
	b.NodeSet(uncordoned("a1"))
	if got := play(b, at(2)); !slices.Equal(got, []Act{Reactivate, Forget}) {
		t.Errorf("acts are %v", got)
	}
	b.AgentsListed(listed(off), at(1.5))
	wantMarks(t, b, at(2), map[string]Mark{})
}

// Others were faster: what they did is not ours to undo.
func TestDeactivatedByOthersMeanwhile(t *testing.T) {
	b := known(Config{Cordoned: Deactivate})
	b.NodeSet(cordoned(""))
	b.Failed(b.Operations(at(1), none)[0], true, at(1))
	b.NodeSet(cordoned("a1")) // the note was written all the same
	b.AgentsListed(listed(off), at(2))
	if got := play(b, at(3)); !slices.Equal(got, []Act{Forget}) {
		t.Errorf("acts are %v", got)
	}
	b.NodeSet(uncordoned(""))
	if got := play(b, at(4)); len(got) != 0 {
		t.Errorf("acts are %v", got)
	}
}

func TestUncordonedBeforeAnythingWasDone(t *testing.T) {
	b := known(Config{Cordoned: Deactivate})
	b.NodeSet(cordoned(""))
	play(b, at(1))
	b.NodeSet(uncordoned("a1"))
	b.AgentsListed(listed(off), at(2))
	if got := play(b, at(3)); !slices.Equal(got, []Act{Forget}) {
		t.Errorf("acts are %v", got)
	}
}

func TestOperationsAreRetriedEverLater(t *testing.T) {
	b := known(Config{Cordoned: Deactivate})
	b.NodeSet(cordoned("a1"))
	now := t0
	for _, wait := range []time.Duration{firstRetry, 2 * firstRetry, 4 * firstRetry} {
		got := b.Operations(now, none)
		if len(got) != 1 {
			t.Fatalf("operations are %v", got)
		}
		if again := b.Operations(now, none); len(again) != 0 {
			t.Errorf("twice at once: %v", again)
		}
		b.Failed(got[0], false, now)
		if early := b.Operations(now.Add(wait-1), none); len(early) != 0 {
			t.Errorf("tried again after %s", wait-1)
		}
		now = now.Add(wait)
	}
	for range 20 {
		b.Failed(Operation{Off, "n1", "a1"}, false, now)
	}
	if got := b.Operations(now.Add(lastRetry), none); len(got) != 1 {
		t.Errorf("not tried again after %s", lastRetry)
	}
	b.Failed(Operation{Off, "strange", "a9"}, true, now)
	b.Done(Operation{Off, "strange", "a9"}, now)
}

// A call whose answer never came may have been heard.
func TestDoubtfulOperationsAreUndone(t *testing.T) {
	b := known(Config{Cordoned: Deactivate})
	b.NodeSet(cordoned("a1"))
	b.Failed(b.Operations(t0, none)[0], true, t0)
	b.NodeSet(uncordoned("a1"))
	if got := play(b, at(1)); !slices.Equal(got, []Act{Reactivate, Forget}) {
		t.Errorf("acts are %v", got)
	}
	b.NodeSet(cordoned("a1"))
	b.Failed(b.Operations(at(1), none)[0], true, at(1))
	b.NodeGone("n1")
	if got := play(b, at(2)); !slices.Equal(got, []Act{Reactivate}) {
		t.Errorf("acts for a node that is gone are %v", got)
	}
}

func TestNodesThatGoLeaveNothingBehind(t *testing.T) {
	b := known(Config{Cordoned: Deactivate})
	b.NodeSet(cordoned("a1"))
	play(b, t0)
	b.NodeGone("n1")
	b.NodeGone("strange")
	got := b.Operations(at(1), none)
	if len(got) != 1 || got[0] != (Operation{Reactivate, "", "a1"}) {
		t.Fatalf("operations are %v", got)
	}
	b.Failed(got[0], false, at(1))
	if early := b.Operations(at(1), none); len(early) != 0 {
		t.Errorf("at once again: %v", early)
	}
	if got := play(b, at(2)); !slices.Equal(got, []Act{Reactivate}) {
		t.Errorf("acts are %v", got)
	}
	if len(b.left) != 0 {
		t.Errorf("left are %v", b.left)
	}
}

func TestANodeThatComesBackWithItsNoteIsNotReactivated(t *testing.T) {
	b := known(Config{Cordoned: Deactivate})
	b.NodeSet(cordoned("a1"))
	play(b, t0)
	b.NodeGone("n1")
	b.NodeSet(cordoned("a1"))
	if got := play(b, at(1)); len(got) != 0 {
		t.Errorf("acts are %v", got)
	}
}

func TestAnAgentThatGoesForGoodIsForgotten(t *testing.T) {
	b := known(Config{Cordoned: Deactivate})
	b.NodeSet(cordoned("a1"))
	play(b, t0)
	b.AgentsListed(listed()[1:], at(1))
	if got := play(b, at(1)); len(got) != 0 {
		t.Errorf("acts while the agent is away are %v", got)
	}
	list := listed()
	list[0].ID = "new"
	b.Paired("new", "n1")
	b.AgentsListed(list, at(2))
	got := play(b, at(2))
	b.AgentsListed(list, at(2.5))
	if got = append(got, play(b, at(2.5))...); !slices.Equal(got, []Act{Forget, Note, Off}) {
		t.Errorf("acts for the agent that took its place are %v", got)
	}
	b.NodeGone("n1")
	b.AgentsListed(listed()[1:], at(3))
	if got := play(b, at(3)); len(got) != 0 || len(b.left) != 0 {
		t.Errorf("acts are %v, left are %v", got, b.left)
	}
}
