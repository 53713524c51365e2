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

package mesosoffers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"github.com/kube-mesos/kube-mesos/plugins/apis/config"
	"github.com/kube-mesos/kube-mesos/plugins/apis/config/validation"
	"github.com/kube-mesos/kube-mesos/plugins/internal/breaker"
	"github.com/kube-mesos/kube-mesos/plugins/internal/claims"
	"github.com/kube-mesos/kube-mesos/plugins/internal/credentials"
	"github.com/kube-mesos/kube-mesos/plugins/internal/demand"
	"github.com/kube-mesos/kube-mesos/plugins/internal/lifecycle"
	"github.com/kube-mesos/kube-mesos/plugins/internal/mesos"
	"github.com/kube-mesos/kube-mesos/plugins/internal/metrics"
	"github.com/kube-mesos/kube-mesos/plugins/internal/quota"
	"github.com/kube-mesos/kube-mesos/plugins/internal/reservations"
	"github.com/kube-mesos/kube-mesos/plugins/internal/resources"
	"github.com/kube-mesos/kube-mesos/plugins/internal/roles"
)

// Runtime is what all profiles of one scheduler process share: one session with
// the Mesos master and one ledger of claims. Factories run once per profile and on
// every replica before leader election, so building a plugin starts nothing; Lead
// does.
type Runtime struct {
	onFirstCycle atomic.Bool
	led          atomic.Bool

	mu      sync.Mutex
	args    *config.MesosOffersArgs
	manager *lifecycle.Manager
	session *mesos.Session
	// identity keeps the FrameworkID.
	identity *lifecycle.FrameworkIDStore
	nodes    *nodeControllers
	table    *resources.Table
	// controllers keep objects of the API in step with Mesos.
	controllers *controllers
	profiles    sets.Set[string]
	synced      []cache.InformerSynced
	logger      klog.Logger
	// life is the scheduler's context, given to the factories.
	life    context.Context
	stopped bool
	cancel  context.CancelFunc
	running sync.WaitGroup
	fatal   chan error
	failure atomic.Pointer[error]
	// transport and dial change how the session reaches the masters.
	transport []mesos.Option
	dial      credentials.Dial
}

// Option changes how a Runtime reaches the Mesos masters.
type Option func(*Runtime)

// WithDial makes the session open its connections with dial. Simulations use it to
// reach a master in the same process, in virtual time.
func WithDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) Option {
	return func(r *Runtime) {
		r.dial = dial
		r.transport = append(r.transport, mesos.WithDial(dial))
	}
}

// NewRuntime returns a runtime whose session starts when Lead is called.
func NewRuntime(opts ...Option) *Runtime {
	r := &Runtime{profiles: sets.New[string](), fatal: make(chan error, 1)}
	for _, opt := range opts {
		opt(r)
	}
	return r
}

// New is the plugin's factory. The first profile builds what all share; the args
// of later profiles must be the same.
func (r *Runtime) New(ctx context.Context, obj runtime.Object, handle framework.Handle) (framework.Plugin, error) {
	args, err := getArgs(obj)
	if err != nil {
		return nil, err
	}
	if err := validation.ValidateMesosOffersArgs(nil, args).ToAggregate(); err != nil {
		return nil, fmt.Errorf("plugin %s: invalid arguments: %w", Name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if profile, ok := handle.(interface{ ProfileName() string }); ok {
		r.profiles.Insert(profile.ProfileName())
	}
	if r.manager == nil {
		if err := r.build(ctx, args, handle); err != nil {
			return nil, fmt.Errorf("plugin %s: %w", Name, err)
		}
	} else if !reflect.DeepEqual(args, r.args) {
		return nil, fmt.Errorf("plugin %s: its arguments differ between profiles; all profiles of a process share one Mesos session, give them the same arguments", Name)
	}
	if args.Session.Start == config.SessionStartImmediately {
		go r.Lead()
	}
	return &Plugin{runtime: r, manager: r.manager, handle: handle, args: args, reasons: &reasons{table: r.table}}, nil
}

// build makes the manager and the session. The mutex is held.
func (r *Runtime) build(ctx context.Context, args *config.MesosOffersArgs, handle framework.Handle) error {
	r.logger = klog.LoggerWithName(klog.FromContext(ctx), "mesos")
	r.life, r.args = ctx, args
	var manager *lifecycle.Manager
	show, err := newNodeControllers(args, handle, r.mine, func(byNode map[string]resources.Vector) { manager.Withhold(byNode) }, r.logger)
	if err != nil {
		return err
	}
	settings := managerConfig(args, show)
	var more *controllers
	settings.SetQuotas = func(list []quota.Role, ours map[string]resources.Bundle, at time.Time) {
		more.setQuotas(list, ours, at)
	}
	manager = lifecycle.New(settings, handle.ClientSet(), handle.EventRecorder(), func(pods map[string]*v1.Pod) {
		handle.Activate(r.logger, pods)
	}, r.logger)
	c := args.FrameworkIDConfigMap
	r.identity = lifecycle.NewFrameworkIDStore(handle.ClientSet(), c.Namespace, c.Name)
	conn := sessionConfig(args, r.identity, manager)
	if conn.Masters, conn.Credentials, err = connection(args, r.dial); err != nil {
		return err
	}
	session, err := mesos.NewSession(conn, manager, r.transport...)
	if err != nil {
		return err
	}
	manager.Attach(session, session, quotaReader{session})
	manager.SetOperator(session)
	if more, err = newControllers(args, handle, &settings, manager, session, r.logger); err != nil {
		return err
	}
	informers := handle.SharedInformerFactory().Core().V1()
	pods, err := informers.Pods().Informer().AddEventHandler(manager.PodHandler(r.mine))
	if err != nil {
		return fmt.Errorf("cannot watch pods: %w", err)
	}
	namespaces, err := informers.Namespaces().Informer().AddEventHandler(manager.NamespaceHandler())
	if err != nil {
		return fmt.Errorf("cannot watch namespaces: %w", err)
	}
	nodes, err := informers.Nodes().Informer().AddEventHandler(manager.NodeHandler())
	if err != nil {
		return fmt.Errorf("cannot watch nodes: %w", err)
	}
	r.synced = []cache.InformerSynced{namespaces.HasSynced, pods.HasSynced, nodes.HasSynced}
	r.table = settings.Pods.Table
	r.manager, r.session, r.nodes, r.controllers = manager, session, show, more
	metrics.Register(manager)
	return nil
}

func managerConfig(args *config.MesosOffersArgs, nodes *nodeControllers) lifecycle.Config {
	return lifecycle.Config{
		Roles: rolesConfig(args),
		Subscriptions: roles.Options{
			Default: args.Framework.Role, UpdatePeriod: args.Roles.UpdatePeriod.Duration, KeepUnused: args.Roles.KeepUnused.Duration,
		},
		FallbackAfter: args.Roles.FallbackAfter.Duration,
		Pods:          podRules(args),
		KeepGPUs:      args.Resources.GPUs.Agents == config.GPUAgentsForGPUPods,
		Principal:     args.Framework.Principal,
		Registry:      reservations.NewRegistry(), Book: &quota.Book{}, Usage: &quota.Usage{},
		Preempt: args.Preemption.Enabled, StarvationTimeout: args.Preemption.StarvationTimeout.Duration,
		QuotaPeriod: args.Quota.PollPeriod.Duration, EnforceQuota: args.Quota.Enforce,
		Claims: claimsConfig(args), OnLost: claims.OnLost(args.Claims.OnLost), Evictions: evictionsConfig(args),
		Identity: identityRef(args),
		Demand: demand.Config{
			MaxHold: args.Offers.MaxHold.Duration, RefuseUnused: args.Offers.RefuseUnused.Duration,
			RefuseForeign: args.Offers.RefuseForeign.Duration, IdleGrace: args.Offers.IdleGrace.Duration,
			ReviveEvery:  args.Offers.ReviveEvery.Duration,
			SurplusAfter: args.Offers.SurplusAfter.Duration, RefuseSurplus: args.Offers.RefuseSurplus.Duration, Warm: int(args.Offers.WarmAgents),
		},
		Terms: lifecycle.TermsConfig{
			Constraints: args.Offers.Constraints == config.OfferTermsAuto, MaxHosts: int(args.Offers.MaxConstraintHosts),
			MinAllocatable: args.Offers.MinAllocatable == config.OfferTermsAuto,
		},
		Command: args.Placeholder.Command,
		Linger:  args.Offers.BatchLinger.Duration, MaxLinger: args.Offers.MaxBatchLinger.Duration,
		PredictedWait: args.Offers.PredictedWait.Duration, MaxTasks: int(args.Offers.MaxTasksPerAccept), PDBDeadline: args.Claims.PDBDeadline.Duration, Maintenance: maintenanceConfig(args, nodes), ShowAgents: nodes.show,
	}
}

func evictionsConfig(args *config.MesosOffersArgs) breaker.Config {
	c := args.Claims
	return breaker.Config{
		Burst: int(c.EvictionBurst), PerMinute: int(c.EvictionsPerMinute), Percent: int(c.EvictionPercent), Window: c.EvictionWindow.Duration,
	}
}

// identityRef refers to the ConfigMap that keeps the FrameworkID, for events.
func identityRef(args *config.MesosOffersArgs) v1.ObjectReference {
	c := args.FrameworkIDConfigMap
	return v1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: c.Namespace, Name: c.Name}
}

func claimsConfig(args *config.MesosOffersArgs) claims.Config {
	c := claims.DefaultConfig(args.LaunchTimeout.Duration)
	c.ReacquireFor = args.Claims.ReacquireTimeout.Duration
	return c
}

func sessionConfig(args *config.MesosOffersArgs, identity *lifecycle.FrameworkIDStore, manager *lifecycle.Manager) mesos.Config {
	f := args.Framework
	hostname := f.Hostname
	if hostname == "" {
		hostname, _ = os.Hostname()
	}
	return mesos.Config{
		Framework: mesos.FrameworkInfo{
			Name: f.Name, User: f.User, Principal: f.Principal, Hostname: hostname, WebUIURL: f.WebUIURL,
			FailoverTimeout: f.FailoverTimeout.Duration,
			GPUs:            args.Resources.GPUs.Agents != config.GPUAgentsUnused,
			Revocable:       args.Revocable.Enabled,
		},
		Roles:       manager.SubscribeRoles,
		IDs:         identity,
		Removed:     manager.Removed(identity, args.Framework.OnRemoved == config.OnFrameworkRemovedWait),
		CallTimeout: args.Session.CallTimeout.Duration, HeartbeatMisses: int(args.Session.HeartbeatMisses),
		MaxRecordBytes: args.Session.MaxRecordBytes, BackoffInitial: args.Session.BackoffInitial.Duration,
		BackoffMax: args.Session.BackoffMax.Duration, Observer: observer{manager},
	}
}

// mine tells whether a pod is for one of the profiles that use the plugin.
func (r *Runtime) mine(pod *v1.Pod) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.profiles.Has(pod.Spec.SchedulerName)
}

// startOnCycle makes the first scheduling cycle start the session.
func (r *Runtime) startOnCycle() { r.onFirstCycle.Store(true) }

// onCycle notes a scheduling cycle, which only a leader runs.
func (r *Runtime) onCycle() {
	if r.onFirstCycle.Load() && !r.led.Load() {
		r.Lead()
	}
}

// Lead starts the session: this process leads. It returns at once and may be
// called again. A standby must not call it: two processes subscribed as one
// framework would throw each other out.
func (r *Runtime) Lead() {
	if r.led.Swap(true) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.manager == nil || r.stopped {
		return
	}
	ctx, cancel := context.WithCancel(klog.NewContext(r.life, r.logger))
	r.cancel = cancel
	r.running.Go(func() { r.manager.Run(ctx) })
	r.running.Go(func() { r.manager.KeepIdentity(ctx, r.identity) })
	r.running.Go(func() { r.nodes.run(ctx) })
	r.running.Go(func() { r.controllers.run(ctx) })
	r.running.Go(func() {
		// The ledger must know the bound pods before Mesos tells of their tasks.
		if !cache.WaitForCacheSync(ctx.Done(), r.synced...) {
			return
		}
		if err := r.session.Run(ctx); err != nil {
			r.fail(err)
		}
	})
}

func (r *Runtime) fail(err error) {
	r.failure.Store(&err)
	r.logger.Error(err, "The Mesos session ended for good; this process must not schedule any more")
	select {
	case r.fatal <- err:
	default:
	}
}

// ErrTakenOver is delivered by Fatal when another instance subscribed as our
// framework: it leads now, and this process must end.
var ErrTakenOver = mesos.ErrFailedOver

// Fatal delivers the error after which the process must end: another instance
// took over our framework, or the master removed it.
func (r *Runtime) Fatal() <-chan error { return r.fatal }

// Stop ends the session in good order: offers are declined, the role suppressed,
// the connection closed. The framework stays registered, and its tasks run on. It
// returns when that is done or ctx ends.
func (r *Runtime) Stop(ctx context.Context) error {
	r.mu.Lock()
	manager, session, cancel := r.manager, r.session, r.cancel
	r.stopped = true
	r.mu.Unlock()
	if cancel == nil {
		return nil
	}
	manager.Stop(ctx)
	err := session.Close(ctx)
	cancel()
	done := make(chan struct{})
	go func() { r.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		err = errors.Join(err, context.Cause(ctx))
	}
	return err
}

// Ready tells why pods cannot be placed now, nil if they can. A process that does
// not lead has no session and is ready to take over.
func (r *Runtime) Ready() error {
	if failure := r.failure.Load(); failure != nil {
		return *failure
	}
	if !r.led.Load() {
		return nil
	}
	r.mu.Lock()
	session := r.session
	r.mu.Unlock()
	if session == nil {
		return errors.New("the Mesos session is not set up")
	}
	status := session.Status()
	if status.State == mesos.StateSubscribed {
		return nil
	}
	if status.LastError != "" {
		return fmt.Errorf("Mesos session is %s since %s: %s", status.State, status.Since.Format(time.RFC3339), status.LastError)
	}
	return fmt.Errorf("Mesos session is %s since %s", status.State, status.Since.Format(time.RFC3339))
}

// notConnected is the reason told to pods while there is no subscription.
func (r *Runtime) notConnected() string {
	if err := r.failure.Load(); err != nil && errors.Is(*err, mesos.ErrFailedOver) {
		return "another scheduler instance took over the Mesos framework"
	} else if err != nil {
		return "the Mesos master removed our framework"
	}
	r.mu.Lock()
	session := r.session
	r.mu.Unlock()
	if reason := notConnected[session.Status().Reason]; reason != "" {
		return reason
	}
	return reasonNotConnected
}

// observer counts the session's traffic, and tells the manager how it stands.
type observer struct{ manager *lifecycle.Manager }

// CallDone implements mesos.Observer.
func (observer) CallDone(call, result string, took time.Duration) {
	metrics.Calls.WithLabelValues(call, result).Observe(took.Seconds())
}

// EventReceived implements mesos.Observer.
func (observer) EventReceived(event string, bytes int) {
	metrics.Events.WithLabelValues(event).Inc()
	metrics.EventBytes.Add(float64(bytes))
}

// StateChanged implements mesos.Observer.
func (o observer) StateChanged(state mesos.State, err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	o.manager.SessionState(state, mesos.ReasonOf(err), why)
	for _, s := range mesos.States {
		v := 0.0
		if s == state {
			v = 1
		}
		metrics.SessionState.WithLabelValues(string(s)).Set(v)
	}
}
