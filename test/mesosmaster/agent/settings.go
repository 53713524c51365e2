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

package agent

import (
	"strconv"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/kube-mesos/kube-mesos/test/mesosmaster/resource"
)

// Step is something on a machine that takes time.
type Step string

// The steps, and what their subject is.
const (
	// StepStart is from the arrival of a task to the first update of it; subject
	// is the task's id.
	StepStart Step = "start"
	// StepExecutor is from the arrival of the first task of a built-in custom
	// executor to its registration; subject is the executor's id.
	StepExecutor Step = "executor"
	// StepExit is from the start of a command to its end, for commands that end
	// at once; subject is the task's id.
	StepExit Step = "exit"
	// StepSleep is from the start of a command that begins by sleeping to the end
	// of its sleep; subject is the task's id.
	StepSleep Step = "sleep"
	// StepKill is from the signal to the end of a process that dies of it;
	// subject is the id of the task or executor.
	StepKill Step = "kill"
	// StepContainer is from the first update of a task of the default executor to
	// the start of its container, and StepProcess to that of the process in it,
	// when the task runs; subject is the task's id. Updates show what there is.
	StepContainer Step = "container"
	StepProcess   Step = "process"
	// StepReap is from the end of an executor process to the agent's notice of
	// it; subject is the executor's id.
	StepReap Step = "reap"
	// StepEstimate is from the start of the agent process to its first look at the
	// estimate of revocable resources, StepCorrect to that of its QoS controller;
	// subject is the host name. Without more they are an interval long.
	StepEstimate Step = "estimate"
	StepCorrect  Step = "correct"
	// StepRegister is from the start of the agent process, or the election of a
	// master, to the registration; subject is the host name.
	StepRegister Step = "reregister"
	// StepPing is from the loss of an agent to its being marked unreachable;
	// subject is the host name.
	StepPing Step = "ping"
)

// Settings are flags of agents and the time that things take on their machines.
type Settings struct {
	// RegisterDelay is how long a running agent takes to find and join a new
	// master.
	RegisterDelay time.Duration
	// StartDelay is the time from the start of the process to its registration,
	// besides the wait for executors.
	StartDelay time.Duration
	// ExecutorRegistrationTimeout is how long an executor may take to register
	// (--executor_registration_timeout).
	ExecutorRegistrationTimeout time.Duration
	// ExecutorReregistrationTimeout is how long a restarted agent waits for its
	// executors before it registers (--executor_reregistration_timeout).
	ExecutorReregistrationTimeout time.Duration
	// ExecutorShutdownGracePeriod is how long an executor may take to shut down
	// (--executor_shutdown_grace_period).
	ExecutorShutdownGracePeriod time.Duration
	// UpdateRetryMin and UpdateRetryMax bound the interval at which an
	// unacknowledged update is repeated.
	UpdateRetryMin, UpdateRetryMax time.Duration
	// LaunchDelay is the time from the receipt of a task to its start.
	LaunchDelay time.Duration
	// KillDelay is the time a process takes to die of SIGTERM.
	KillDelay time.Duration
	// ExecutorIdleTimeout is how long a built-in custom executor without tasks
	// lives on; zero means until it is shut down.
	ExecutorIdleTimeout time.Duration
	// MaxCompletedExecutors bounds the completed tasks of a framework that an agent
	// remembers, 150 if zero.
	MaxCompletedExecutors int
	// Users are the users of the machines, besides the usual ones of Linux.
	Users []string
	// OwnExecutors makes custom executors processes of their own that speak the
	// executor API; otherwise stand-ins of the emulator run their tasks.
	OwnExecutors bool
	// Latency, if set, is asked how long a step takes this time; false means as
	// the other settings say.
	Latency func(step Step, subject string) (time.Duration, bool)
}

// Takes is how long a step takes, usual unless Latency knows better.
func (s *Settings) Takes(step Step, subject string, usual time.Duration) time.Duration {
	if s.Latency != nil {
		if d, ok := s.Latency(step, subject); ok {
			return d
		}
	}
	return usual
}

// Config is what one agent is. Zero values of what Settings has too mean what is
// said there.
type Config struct {
	Hostname   string
	IP         string
	Port       int32
	WorkDir    string // --work_dir
	Resources  resource.Resources
	Attributes []mesos.Attribute
	Domain     *mesos.DomainInfo

	ExecutorRegistrationTimeout   time.Duration
	ExecutorReregistrationTimeout time.Duration
	// OversubscribedInterval is the time between two looks at the estimate of
	// revocable resources (--oversubscribed_resources_interval, 15 s).
	OversubscribedInterval time.Duration
	// LoadThreshold makes the load QoS controller kill what runs on revocable
	// resources while the machine's load is above it; zero: no controller.
	LoadThreshold float64
	// QoSInterval is the time between two corrections
	// (--qos_correction_interval_min, default 0 means 1 s here).
	QoSInterval time.Duration
}

// ParseAttributes parses the text of --attributes, "rack:r1;zone:z1". Values are
// scalars if they are numbers, ranges in brackets, texts otherwise (Mesos
// common/attributes.cpp). Parts without a colon are left out.
func ParseAttributes(text string) []mesos.Attribute {
	var out []mesos.Attribute
	for _, part := range strings.Split(text, ";") {
		if name, value, ok := strings.Cut(part, ":"); ok {
			out = append(out, ParseAttribute(strings.TrimSpace(name), strings.TrimSpace(value)))
		}
	}
	return out
}

// ParseAttribute makes an attribute of its name and the text of its value.
func ParseAttribute(name, text string) mesos.Attribute {
	if x, err := strconv.ParseFloat(text, 64); err == nil {
		return mesos.Attribute{Name: name, Type: mesos.SCALAR, Scalar: &mesos.Value_Scalar{Value: x}}
	}
	if strings.HasPrefix(text, "[") {
		if r, err := resource.ParseValue(resource.Resource{}, text); err == nil && r.Kind == resource.RangeSet {
			a := mesos.Attribute{Name: name, Type: mesos.RANGES, Ranges: &mesos.Value_Ranges{}}
			for _, x := range r.Ranges {
				a.Ranges.Range = append(a.Ranges.Range, mesos.Value_Range{Begin: x.Begin, End: x.End})
			}
			return a
		}
	}
	return mesos.Attribute{Name: name, Type: mesos.TEXT, Text: &mesos.Value_Text{Value: text}}
}

// durationText writes a duration as Mesos does: "5secs", "1mins", "500ms".
func durationText(d time.Duration) string {
	for _, u := range []struct {
		name string
		unit time.Duration
	}{
		{"weeks", 7 * 24 * time.Hour}, {"days", 24 * time.Hour}, {"hrs", time.Hour}, {"mins", time.Minute},
		{"secs", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond},
	} {
		if d >= u.unit || -d >= u.unit {
			return strconv.FormatFloat(float64(d)/float64(u.unit), 'f', -1, 64) + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}
