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

package constraints

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	corev1 "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/kube-mesos/kube-mesos/plugins/internal/nodelabels"
	"github.com/kube-mesos/kube-mesos/plugins/internal/nodes"
	"github.com/kube-mesos/kube-mesos/plugins/internal/terms"
)

// universe is a cluster that changes at random, and a compiler that is told.
type universe struct {
	rnd      *rand.Rand
	c        *Compiler
	pairs    *nodes.Map
	nodes    map[string]*v1.Node
	agents   map[string]Agent
	complete bool
	// size is how many hosts there may be.
	size, serial int
	// tame universes label nodes by the attributes of their agents, and no two claim
	// the same host.
	tame bool
}

func newUniverse(seed uint64, maxHosts int, tame bool) *universe {
	return &universe{
		rnd: rand.New(rand.NewPCG(seed, 7)), c: NewCompiler(Config{MaxHosts: maxHosts, MaxKeys: 4}), pairs: nodes.NewMap(),
		nodes: map[string]*v1.Node{}, agents: map[string]Agent{}, size: 12, tame: tame,
	}
}

func (u *universe) pick(of ...string) string { return of[u.rnd.IntN(len(of))] }

func (u *universe) host() string { return fmt.Sprintf("h%d", u.rnd.IntN(u.size)) }

func (u *universe) rackOf(host string) string {
	if u.tame {
		return "r" + host[len(host)-1:]
	}
	return u.pick("r1", "r2", "r3")
}

func (u *universe) spell(host string) string {
	if u.tame {
		return host
	}
	return u.pick(host, host, host, strings.ToUpper(host), host+".")
}

func (u *universe) setNode() {
	host := u.host()
	node := newNode(host, map[string]string{v1.LabelHostname: host, "zone": u.pick("a", "b")})
	if !u.tame && u.rnd.IntN(4) == 0 {
		node.Name = host + "-node"
		node.Labels[nodes.HostnameLabel] = u.spell(host)
	}
	if u.tame || u.rnd.IntN(4) > 0 {
		node.Labels[nodelabels.AttributePrefix+"rack"] = u.rackOf(host)
	}
	if u.rnd.IntN(5) == 0 {
		node.Labels[nodelabels.AttributePrefix+"ssd"] = ""
	}
	for range u.rnd.IntN(6) - 3 {
		node.Spec.Taints = append(node.Spec.Taints, v1.Taint{
			Key: u.pick("own", "gpu", v1.TaintNodeNotReady), Value: u.pick("", "x"),
			Effect: v1.TaintEffect(u.pick("NoSchedule", "NoExecute", "PreferNoSchedule")),
		})
	}
	node.Spec.Unschedulable = u.rnd.IntN(10) == 0
	u.nodes[node.Name] = node
	u.pairs.SetNode(node.Name, nodes.HostOf(node))
	u.c.SetNode(node)
	u.pair()
}

func (u *universe) setAgent() {
	u.serial++
	host, id := u.host(), fmt.Sprint("agent", u.serial)
	a := Agent{Hostname: u.spell(host), Text: map[string]string{}}
	switch u.rnd.IntN(6) {
	case 0:
		a.NotText = []string{"rack"}
	case 1:
	default:
		a.Text["rack"] = u.rackOf(host)
	}
	if u.tame {
		a.Text, a.NotText = map[string]string{"rack": u.rackOf(host)}, nil
	}
	if u.rnd.IntN(5) == 0 {
		a.Text["ssd"] = ""
	}
	for old, other := range u.agents {
		if u.tame && other.Hostname == a.Hostname {
			u.dropAgent(old)
		}
	}
	u.agents[id] = a
	u.pairs.SetAgent(id, a.Hostname)
	u.c.SetAgent(id, a)
	u.pair()
}

func (u *universe) dropAgent(id string) {
	delete(u.agents, id)
	u.pairs.DeleteAgent(id)
	u.c.DeleteAgent(id)
	u.pair()
}

// pair tells the compiler which agents are which nodes by now.
func (u *universe) pair() {
	for id, a := range u.agents {
		if node := u.pairs.NodeOf(id); node != a.Node {
			a.Node = node
			u.agents[id] = a
			u.c.SetAgent(id, a)
		}
	}
}

func (u *universe) change() {
	switch u.rnd.IntN(12) {
	case 0, 1, 2, 3:
		u.setNode()
	case 4, 5, 6, 7:
		u.setAgent()
	case 8:
		for name := range u.nodes {
			delete(u.nodes, name)
			u.pairs.DeleteNode(name)
			u.c.DeleteNode(name)
			break
		}
		u.pair()
	case 9:
		for id := range u.agents {
			u.dropAgent(id)
			break
		}
	case 10:
		u.complete = u.rnd.IntN(4) > 0
		u.c.SetComplete(u.complete)
	case 11:
		if u.rnd.IntN(10) == 0 {
			clear(u.agents)
			u.pairs.ClearAgents()
			u.c.ClearAgents()
			u.complete = false
		}
	}
}

// pod returns a pod that requires something at random.
func (u *universe) pod() *v1.Pod {
	pod := &v1.Pod{}
	pod.Spec.Tolerations = slices.Clone(defaultTolerations) // as admission gives them
	for range u.rnd.IntN(3) {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, v1.Toleration{
			Key: u.pick("own", "gpu", ""), Operator: v1.TolerationOperator(u.pick("Exists", "Equal", "")), Value: u.pick("", "x"),
			Effect: v1.TaintEffect(u.pick("", "NoSchedule", "NoExecute")),
		})
	}
	if u.rnd.IntN(3) == 0 {
		pod.Spec.NodeSelector = map[string]string{u.pick("zone", nodelabels.AttributePrefix+"rack"): u.pick("a", "r1", "r2")}
	}
	if u.rnd.IntN(2) == 0 {
		required := &v1.NodeSelector{}
		for range u.rnd.IntN(3) {
			required.NodeSelectorTerms = append(required.NodeSelectorTerms, u.term())
		}
		pod.Spec.Affinity = &v1.Affinity{NodeAffinity: &v1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: required}}
	}
	return pod
}

func (u *universe) term() (t v1.NodeSelectorTerm) {
	for range u.rnd.IntN(3) {
		e := v1.NodeSelectorRequirement{
			Key:      u.pick("zone", v1.LabelHostname, nodelabels.AttributePrefix+"rack", nodelabels.AttributePrefix+"ssd"),
			Operator: v1.NodeSelectorOperator(u.pick("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Nonsense")),
		}
		switch e.Operator {
		case v1.NodeSelectorOpIn, v1.NodeSelectorOpNotIn:
			for range 1 + u.rnd.IntN(3) {
				e.Values = append(e.Values, u.pick("a", "b", "r1", "r2", "", u.host(), "not valid"))
			}
		case v1.NodeSelectorOpGt, v1.NodeSelectorOpLt:
			e.Values = []string{u.pick("1", "x")}
		}
		t.MatchExpressions = append(t.MatchExpressions, e)
	}
	if u.rnd.IntN(3) == 0 {
		t.MatchFields = []v1.NodeSelectorRequirement{{Key: "metadata.name", Operator: v1.NodeSelectorOperator(u.pick("In", "NotIn")), Values: []string{u.host()}}}
	}
	return t
}

// fits judges as the scheduler does: NodeUnschedulable, TaintToleration, NodeAffinity.
func fits(pod *v1.Pod, node *v1.Node) bool {
	taints := slices.Clone(node.Spec.Taints)
	if node.Spec.Unschedulable {
		taints = append(taints, v1.Taint{Key: v1.TaintNodeUnschedulable, Effect: v1.TaintEffectNoSchedule})
	}
	if _, untolerated := corev1.FindMatchingUntoleratedTaint(taints, pod.Spec.Tolerations, keepsAway); untolerated {
		return false
	}
	match, _ := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node)
	return match
}

func fitsAny(pods []*v1.Pod, node *v1.Node) bool {
	return node != nil && slices.ContainsFunc(pods, func(pod *v1.Pod) bool { return fits(pod, node) })
}

func (u *universe) pods() (pods []*v1.Pod, keys []string) {
	for range 1 + u.rnd.IntN(4) {
		pod := u.pod()
		pods, keys = append(pods, pod), append(keys, u.c.Require(pod))
	}
	return pods, keys
}

// checkSound checks that whatever is of use is admitted.
func (u *universe) checkSound(t *testing.T, pods []*v1.Pod, keys []string, set terms.Constraints) {
	t.Helper()
	valid(t, set)
	if u.c.TooNarrow(set, keys) {
		t.Errorf("%v is too narrow by its own compiler", set)
	}
	taken := map[string]bool{}
	for id, a := range u.agents {
		taken[nodes.Canonical(a.Hostname)] = true
		for i, pod := range pods {
			if want := a.Node != "" && fits(pod, u.nodes[a.Node]); u.c.Matches(keys[i], id) != want {
				t.Errorf("key %s on node %v: Matches is %v", keys[i], u.nodes[a.Node], !want)
			}
		}
		if fitsAny(pods, u.nodes[a.Node]) && !u.c.Admits(set, id) {
			t.Errorf("%v excludes %v, on which a pod fits", set, a)
		}
	}
	for _, node := range u.nodes {
		host := nodes.HostOf(node)
		if taken[host] || !fitsAny(pods, node) {
			continue
		}
		// Its agent comes, with whatever attributes, spelled as may be expected.
		spellings := []string{host, spellingOf(node)}
		if !u.complete && u.c.hosts[host].past == "" {
			spellings = append(spellings, strings.ToUpper(host)+".")
		}
		for _, name := range spellings {
			a := Agent{Hostname: name, Text: map[string]string{"rack": u.pick("r1", "r2", "other")}}
			if !admits(set, &a) && (u.complete || u.c.hosts[host].past == "") {
				t.Errorf("%v excludes %v, which would be node %s, on which a pod fits", set, a, node.Name)
			}
		}
	}
}

// valid checks that a master would take the constraints.
func valid(t *testing.T, set terms.Constraints) {
	t.Helper()
	if set != nil && len(set) == 0 {
		t.Error("constraints without a group")
	}
	for _, g := range set {
		if len(g) == 0 {
			t.Error("constraints with an empty group")
		}
	}
}

func TestWhateverFitsIsAdmitted(t *testing.T) {
	for seed := range uint64(60) {
		u := newUniverse(seed, 1+int(seed%8), false)
		for range 150 {
			u.change()
			pods, keys := u.pods()
			u.checkSound(t, pods, keys, u.c.Compile(keys))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// TestSmallClustersAreExact checks that no agent is admitted on which nothing fits, where
// names suffice.
func TestSmallClustersAreExact(t *testing.T) {
	for seed := range uint64(60) {
		u := newUniverse(seed, 0, true)
		u.complete = true
		u.c.SetComplete(true)
		for range 150 {
			if u.change(); !u.complete {
				continue
			}
			pods, keys := u.pods()
			set := u.c.Compile(keys)
			u.checkSound(t, pods, keys, set)
			for id, a := range u.agents {
				if u.c.Admits(set, id) && !fitsAny(pods, u.nodes[a.Node]) {
					t.Errorf("seed %d: %v admits %v, on which nothing fits: %v", seed, set, a, keys)
				}
			}
			if t.Failed() {
				t.FailNow()
			}
		}
	}
}

// TestKeysAreCanonical checks that the order of things in a pod makes no other key, and
// that equal keys mean equal requirements.
func TestKeysAreCanonical(t *testing.T) {
	u := newUniverse(1, 0, false)
	for range 100 {
		u.change()
	}
	byKey := map[string]*v1.Pod{}
	for range 20_000 {
		pod := u.pod()
		key := u.c.Require(pod)
		if other := byKey[key]; other != nil {
			for _, node := range u.nodes {
				if fits(pod, node) != fits(other, node) {
					t.Fatalf("key %s for pods that require different things:\n%v\n%v", key, pod.Spec, other.Spec)
				}
			}
		}
		byKey[key] = pod
		shuffled := pod.DeepCopy()
		u.rnd.Shuffle(len(shuffled.Spec.Tolerations), func(i, j int) {
			l := shuffled.Spec.Tolerations
			l[i], l[j] = l[j], l[i]
		})
		if required := requiredAffinity(shuffled); required != nil {
			slices.Reverse(required.NodeSelectorTerms)
			for _, term := range required.NodeSelectorTerms {
				slices.Reverse(term.MatchExpressions)
				for _, e := range term.MatchExpressions {
					slices.Reverse(e.Values)
				}
			}
		}
		if got := u.c.Require(shuffled); got != key {
			t.Fatalf("the same in another order has another key:\n%s\n%s", key, got)
		}
	}
}
