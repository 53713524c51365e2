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

// Package cluster is the stage of the integration tests: a real etcd and
// kube-apiserver in the test's process, an emulated Mesos master, and our
// scheduler, which can be killed and started again. Kubelets are played by the
// tests: nodes are objects, and pods run because somebody says so.
package cluster

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	mesoscalls "github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"go.etcd.io/etcd/server/v3/embed"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	apiservertesting "k8s.io/kubernetes/cmd/kube-apiserver/app/testing"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster"
)

// patience is how long a condition may take to come true. It is an upper bound
// for hanging tests, not a measure of anything.
const patience = 60 * time.Second

// Kube is a control plane: etcd and kube-apiserver.
type Kube struct {
	Config *rest.Config
	Client kubernetes.Interface
}

// StartKube starts a control plane that ends with the test. It takes further flags
// of kube-apiserver.
func StartKube(t *testing.T, flags ...string) *Kube {
	t.Helper()
	silence()
	server := apiservertesting.StartTestServerOrDie(t, apiservertesting.NewDefaultTestServerOptions(), append([]string{
		// No controller lifts the taints and makes the tokens that these admission
		// plugins bring.
		"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition,Priority",
	}, flags...), storage(t))
	t.Cleanup(server.TearDownFn)
	config := rest.CopyConfig(server.ClientConfig)
	config.QPS, config.Burst = 2000, 4000
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &Kube{Config: config, Client: client}
}

// silence drops the API server's own log, which is of no interest: once, because what
// is left of an earlier API server may still log.
var silence = sync.OnceFunc(func() { klog.SetLogger(klog.Logger{}) })

// storage starts an etcd in this process, without syncing to disk.
func storage(t *testing.T) *storagebackend.Config {
	t.Helper()
	config := embed.NewConfig()
	config.Dir = t.TempDir()
	config.UnsafeNoFsync = true
	config.LogLevel = "fatal"
	local := freeURLs(t, 2)
	config.ListenClientUrls, config.AdvertiseClientUrls = local[:1], local[:1]
	config.ListenPeerUrls, config.AdvertisePeerUrls = local[1:], local[1:]
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatalf("cannot start etcd: %v", err)
	}
	t.Cleanup(etcd.Close)
	select {
	case <-etcd.Server.ReadyNotify():
	case <-time.After(patience):
		t.Fatal("etcd does not become ready")
	}
	backend := storagebackend.NewDefaultConfig("/registry", nil)
	backend.Transport.ServerList = []string{local[0].String()}
	return backend
}

// Cluster is one test's share of a control plane, with a Mesos master of its own.
type Cluster struct {
	*Kube
	T         *testing.T
	Mesos     *mesosmaster.Master
	Namespace string
	// Args are further lines of MesosOffersArgs, in YAML.
	Args string
	// API, if set, sees every request of schedulers started from now on and may
	// answer in the API server's stead.
	API func(req *http.Request, next http.RoundTripper) (*http.Response, error)
	// MesosAPI, if set, sees every request to the Mesos master of schedulers started
	// from now on and may answer in the master's stead; an error is a connection
	// that breaks. The call is nil for requests that are no calls.
	MesosAPI func(call *mesoscalls.Call, req *http.Request, next http.RoundTripper) (*http.Response, error)

	// Master is where schedulers started from now on look for the master; empty: where
	// it is.
	Master string

	configMap string
	nodes     []string
	// whole is the cluster of which this one shows another namespace, nil of one that
	// New made; others are those that show others of this one.
	whole  *Cluster
	others []*Cluster
}

// New makes a namespace with n nodes, node-000 and so on, and a Mesos master with
// an agent for each. Everything is removed when the test ends.
func (k *Kube) New(t *testing.T, n int, config mesosmaster.Config) *Cluster {
	t.Helper()
	c := &Cluster{Kube: k, T: t}
	created, err := k.Client.CoreV1().Namespaces().Create(t.Context(), &v1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.Namespace, c.configMap = created.Name, created.Name+"-framework"
	for i := range n {
		host := Host(i)
		config.Agents = append(config.Agents, mesosmaster.AgentConfig{Hostname: host, Resources: AgentResources})
		c.AddNode(host)
	}
	c.Mesos = mesosmaster.New(config)
	if err := c.Mesos.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Mesos.Close)
	t.Cleanup(c.clean)
	return c
}

// Quick is a master that allocates often, so that tests do not wait for it.
func Quick() mesosmaster.Config {
	return mesosmaster.Config{AllocationInterval: 50 * time.Millisecond}
}

// AgentResources is what each agent has, in Mesos' text form: 4 cores.
const AgentResources = "cpus:4;mem:8192;disk:10000;ports:[31000-32000]"

func (c *Cluster) clean() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	zero := int64(0)
	for _, space := range c.spaces() {
		_ = c.Client.CoreV1().Pods(space.Namespace).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &zero}, metav1.ListOptions{})
	}
	for _, other := range c.others {
		other.remove(ctx)
	}
	c.removeNodes(ctx)
	_ = c.Client.CoreV1().ConfigMaps("kube-system").Delete(ctx, c.configMap, metav1.DeleteOptions{})
}

// removeNodes deletes the nodes of the test, several at a time.
func (c *Cluster) removeNodes(ctx context.Context) {
	next := make(chan string)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for node := range next {
				_ = c.Client.CoreV1().Nodes().Delete(ctx, node, metav1.DeleteOptions{})
			}
		})
	}
	for _, node := range c.nodes {
		next <- node
	}
	close(next)
	workers.Wait()
}
