//go:build bench && linux

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

package scheduler

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	perf "k8s.io/kubernetes/test/integration/scheduler_perf"
	"k8s.io/kubernetes/test/utils/ktesting"

	"github.com/kube-mesos/kube-mesos/plugins/mesosoffers"
)

// BenchmarkRun is one run, in a process that TestCompare starts.
func BenchmarkRun(b *testing.B) {
	dir := flag.Lookup("run.dir").Value.String()
	if dir == "" {
		b.Skip("TestCompare runs this; see make bench-scheduler")
	}
	file, err := os.Create(filepath.Join(dir, profileFile))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	seen, runtime := newObserver(*runPods, *runMaster, file), mesosoffers.NewRuntime()
	registry := frameworkruntime.Registry{observerName: seen.New, mesosoffers.Name: runtime.New}
	prepare := func(ctx ktesting.TContext) error {
		if *runMaster == 0 {
			return nil
		}
		ctx.Cleanup(func() {
			limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			if err := runtime.Stop(limited); err != nil {
				b.Logf("the session did not end in good order: %v", err)
			}
		})
		runtime.Lead()
		err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
			return runtime.Ready() == nil, nil
		})
		if err != nil {
			return fmt.Errorf("%w: %w", err, runtime.Ready())
		}
		return nil
	}
	perf.RunBenchmarkPerfScheduling(b, filepath.Join(dir, "harness.yaml"), "run", registry, perf.WithPrepareFn(prepare))
	if b.Failed() {
		return
	}
	select {
	case r := <-seen.done:
		if r.err != nil {
			b.Fatal(r.err)
		}
		text, err := json.Marshal(r.Measure)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, measureFile), text, 0o644)
		}
		if err != nil {
			b.Fatal(err)
		}
	case <-time.After(time.Minute):
		b.Fatal("the harness is done, but not all pods were seen bound")
	}
}
