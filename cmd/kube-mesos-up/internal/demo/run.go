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

// Package demo runs the examples on a local cluster and checks the outcome from
// outside: by the Kubernetes API and by what the Mesos master tells anybody.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/cluster"
	"github.com/kube-mesos/kube-mesos/cmd/kube-mesos-up/internal/mesosstate"
)

const (
	// lookEvery is how often both sides are looked at.
	lookEvery = time.Second
	// agreeWithin is how long Kubernetes and Mesos may disagree once the
	// examples are at rest.
	agreeWithin = 30 * time.Second
)

// ErrFailed tells that the demo ended and found something wrong.
var ErrFailed = errors.New("the demo failed")

// Options say what a demo is about.
type Options struct {
	// Start is when the command that started the cluster began.
	Start time.Time
	// Neighbours tells that another framework is expected to hold resources.
	Neighbours bool
	// Out is told what happens and what was measured.
	Out io.Writer
}

// Run runs the examples and returns nil if all went as it should.
func Run(ctx context.Context, c *cluster.Cluster, opts Options) error {
	out := opts.Out
	objects, err := examples()
	if err != nil {
		return err
	}
	if opts.Neighbours {
		if err := awaitNeighbour(ctx, c, out); err != nil {
			return err
		}
	}
	applier, err := cluster.NewApplier(c.Config)
	if err != nil {
		return err
	}
	if err := applier.Delete(ctx, objects); err != nil {
		return err
	}
	before, err := c.Mesos.Metrics(ctx)
	if err != nil {
		return err
	}
	tracker, stop, err := track(ctx, c)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(out, "\nApplying %d example objects.\n", len(objects))
	if err := applier.Apply(ctx, objects); err != nil {
		return err
	}
	last, problems, err := watchUntilAgreed(ctx, c, objects, out)
	if err != nil {
		return err
	}
	after, err := c.Mesos.Metrics(ctx)
	if err != nil {
		return err
	}
	report(ctx, c, last, out)
	figures := tracker.Figures()
	printFigures(out, figures, opts.Start)
	printMesos(out, last.ours, c.FrameworkName, before, after)
	return verdict(out, last, problems, figures)
}

// awaitNeighbour waits until another framework holds resources.
func awaitNeighbour(ctx context.Context, c *cluster.Cluster, out io.Writer) error {
	ticker := time.NewTicker(lookEvery / 4)
	defer ticker.Stop()
	for {
		state, err := c.Mesos.State(ctx)
		if err != nil {
			return err
		}
		o := &observation{mesos: state, ours: state.Named(c.FrameworkName)}
		if held := o.others(); held > 0 {
			fmt.Fprintf(out, "\nAnother Mesos framework holds %s cpus.\n", held)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until another framework holds resources: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// track measures the pods of our scheduler from now on.
func track(ctx context.Context, c *cluster.Cluster) (*Tracker, func(), error) {
	options := metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.schedulerName", schedulerName).String(),
	}
	w, err := c.Client.CoreV1().Pods(metav1.NamespaceAll).Watch(ctx, options)
	if err != nil {
		return nil, nil, fmt.Errorf("watch pods: %w", err)
	}
	tracker, done := NewTracker(), make(chan struct{})
	go func() {
		defer close(done)
		for event := range w.ResultChan() {
			if pod, ok := event.Object.(*v1.Pod); ok && event.Type != watch.Deleted {
				tracker.Observe(pod, time.Now())
			}
		}
	}()
	return tracker, func() { w.Stop(); <-done }, nil
}

// watchUntilAgreed shows both sides until the examples are at rest and both
// sides agree. The last disagreements are returned when they persist.
func watchUntilAgreed(ctx context.Context, c *cluster.Cluster, objects []*unstructured.Unstructured, out io.Writer) (*observation, []Problem, error) {
	d := newDisplay(out, time.Now())
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var rested time.Time
	var last *observation
	for {
		o, err := observe(ctx, c, objects)
		switch {
		case err != nil && ctx.Err() != nil && last != nil:
			// The time ran out while we looked.
			return nil, nil, timeIsOver(ctx, last, out)
		case err != nil:
			return nil, nil, err
		}
		last = o
		now, waiting := time.Now(), o.pending()
		if waiting == "" {
			problems := Check(o.pods, o.mesos.Agents, o.ours)
			if rested.IsZero() {
				rested = now
			}
			if len(problems) == 0 || now.Sub(rested) > agreeWithin {
				d.show(o, now, true)
				return o, problems, nil
			}
		} else {
			rested = time.Time{}
		}
		d.show(o, now, false)
		select {
		case <-ctx.Done():
			return nil, nil, timeIsOver(ctx, o, out)
		case <-ticker.C:
		}
	}
}

// timeIsOver shows what is not as it should be and returns the error that says so.
func timeIsOver(ctx context.Context, o *observation, out io.Writer) error {
	printWaiting(out, o)
	return fmt.Errorf("%w; still waiting for %s", context.Cause(ctx), orAgreement(o.pending()))
}

// maxWaiting is how many waiting pods are shown when the time is over.
const maxWaiting = 5

// printWaiting shows the pods that are not bound and why, and what the two sides
// disagree about.
func printWaiting(out io.Writer, o *observation) {
	fmt.Fprintln(out, "\nWhat is not as it should be:")
	shown := 0
	for i := range o.pods {
		pod := &o.pods[i]
		if pod.Spec.NodeName != "" || pod.Name == impossiblePod {
			continue
		}
		if shown++; shown > maxWaiting {
			break
		}
		message, ok := unschedulable(pod)
		if !ok {
			message = "not tried yet"
		}
		fmt.Fprintf(out, "  pod %s is not bound: %s\n", pod.Name, message)
	}
	for i, p := range Check(o.pods, o.mesos.Agents, o.ours) {
		if i == maxWaiting {
			break
		}
		fmt.Fprintf(out, "  %s\n", p)
	}
}

func orAgreement(waiting string) string {
	if waiting == "" {
		return "Kubernetes and Mesos to agree"
	}
	return waiting
}

// report shows why the impossible pod waits, in the scheduler's own words.
func report(ctx context.Context, c *cluster.Cluster, o *observation, out io.Writer) {
	for i := range o.pods {
		pod := &o.pods[i]
		message, ok := unschedulable(pod)
		if pod.Name != impossiblePod || !ok {
			continue
		}
		events, err := c.Client.CoreV1().Events(pod.Namespace).List(ctx, metav1.ListOptions{
			FieldSelector: fields.Set{"involvedObject.uid": string(pod.UID), "reason": "FailedScheduling"}.String(),
		})
		if err == nil && len(events.Items) > 0 {
			message = events.Items[len(events.Items)-1].Message
		}
		fmt.Fprintf(out, "\nPod %s stays pending, as it should. FailedScheduling:\n  %s\n", pod.Name, message)
	}
}

// printFigures prints what was measured of the pods since the start of the
// command.
func printFigures(out io.Writer, f Figures, start time.Time) {
	fmt.Fprintln(out)
	if f.Bound > 0 {
		fmt.Fprintf(out, "First pod bound        %.1fs after start\n", f.FirstBound.Sub(start).Seconds())
	}
	fmt.Fprintf(out, `Pods bound             %d
Rate                   %.1f pods/s (first creation to last binding)
Creation to binding    p50 %v, p99 %v, max %v
`, f.Bound, f.PerSecond,
		f.P50.Round(time.Millisecond), f.P99.Round(time.Millisecond), f.Max.Round(time.Millisecond))
}

// printMesos prints how the scheduler is registered with Mesos and what it said
// and heard there.
func printMesos(out io.Writer, ours []mesosstate.Framework, name string, before, after mesosstate.Metrics) {
	grown := func(metric string) float64 {
		return after.FrameworkSum(name, metric) - before.FrameworkSum(name, metric)
	}
	fmt.Fprintf(out, `ACCEPT calls           %.0f
DECLINE calls          %.0f
Offers received        %.0f
`, grown("calls/accept"), grown("calls/decline"), grown("offers/sent"))
	for _, f := range ours {
		fmt.Fprintf(out, "Mesos framework        %s (%s)\n", f.ID, f.Name)
	}
}

// verdict says whether all is well and what is not. A demo that bound nothing,
// or that Mesos knows nothing of, proves nothing and fails.
func verdict(out io.Writer, o *observation, problems []Problem, f Figures) error {
	var failures []string
	for _, p := range problems {
		failures = append(failures, p.String())
	}
	live := 0
	for _, framework := range o.ours {
		for _, t := range framework.Tasks {
			if t.Live() {
				live++
			}
		}
	}
	if len(o.ours) == 0 {
		failures = append(failures, "the Mesos master does not know our framework")
	}
	if c := o.counts(); f.Bound == 0 || c.running == 0 || live == 0 {
		failures = append(failures, fmt.Sprintf("nothing to check: %d pods bound, %d running, %d live tasks", f.Bound, c.running, live))
	}
	if len(failures) > 0 {
		fmt.Fprintf(out, "\nFAILED\n  %s\n", strings.Join(failures, "\n  "))
		return fmt.Errorf("%w: %d problems", ErrFailed, len(failures))
	}
	fmt.Fprintf(out, "\nOK: every bound pod holds one live Mesos task of its size on its machine (%d), and no task is left without a pod.\n", live)
	return nil
}
