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
	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// execFailed is the raw wait status of a container whose program does not exist,
// as recorded (Mesos slave/containerizer/mesos/launch.cpp).
const execFailed int32 = 256256

// plain is a custom executor whose command is no executor at all: it never
// registers, and ends as the command does.
type plain struct {
	a       *Agent
	e       *Executor
	program *program
	missing bool
}

func (p *plain) start() {
	p.a.world.After(p.a.set.Takes(StepExecutor, p.e.ID, p.a.set.LaunchDelay), p.runOn)
}

func (p *plain) runOn() {
	if p.missing {
		p.a.exit(p.e, execFailed)
		return
	}
	wait := p.program.run()
	if p.program.ended != nil {
		p.a.exit(p.e, p.program.ended.wait())
		return
	}
	if wait < forever {
		p.a.world.After(wait, p.runOn)
	}
}

func (p *plain) launch([]*Task)                {}
func (p *plain) kill(*Task, *mesos.KillPolicy) {}
func (p *plain) acknowledged(*Task, []byte)    {}
func (p *plain) message([]byte)                {}
func (p *plain) shutdown()                     {}
func (p *plain) ended(*Task)                   {}
func (p *plain) disconnect()                   {}
func (p *plain) agentBack()                    {}
