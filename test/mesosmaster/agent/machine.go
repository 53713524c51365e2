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
	"fmt"
	"path"
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// topLevel are the directories of a Linux machine. In them every path exists, or
// could; elsewhere there is nothing.
var topLevel = []string{
	"bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var",
}

// knownUsers are those of any Linux machine; more by [Settings.Users].
var knownUsers = []string{"root", "daemon", "bin", "sys", "mail", "www-data", "nobody"}

// exists tells whether there is something at an absolute path of the machine.
func exists(name string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(name), "/"), "/")
	return slices.Contains(topLevel, first)
}

// noSuchUser says why an executor cannot run as a user: the text follows "Failed
// to chown directory to" in Mesos.
func (a *Agent) noSuchUser(user string) bool {
	return user != "" && !slices.Contains(knownUsers, user) && !slices.Contains(a.set.Users, user)
}

// userOf is whom a command runs as: its own user, or the framework's.
func userOf(command *mesos.CommandInfo, framework *mesos.FrameworkInfo) string {
	if u := command.GetUser(); u != "" {
		return u
	}
	return framework.GetUser()
}

// sandbox is the directory of an executor's run (Mesos slave/paths.cpp).
func (a *Agent) sandbox(frameworkID, executorID, containerID string) string {
	return fmt.Sprintf("%s/slaves/%s/frameworks/%s/executors/%s/runs/%s", a.workDir(), a.id, frameworkID, executorID, containerID)
}

func (a *Agent) workDir() string {
	if a.cfg.WorkDir != "" {
		return a.cfg.WorkDir
	}
	return "/var/lib/mesos"
}

// fetchFails tells whether one of the URIs cannot be fetched. Of what lies on
// other machines all is taken to be there.
func fetchFails(command *mesos.CommandInfo) bool {
	for _, u := range command.GetURIs() {
		uri := strings.TrimPrefix(u.Value, "file://")
		if strings.HasPrefix(uri, "/") && !exists(uri) {
			return true
		}
	}
	return false
}

// missing tells whether the program of a command run without a shell does not
// exist.
func missing(command *mesos.CommandInfo) bool {
	if command == nil || command.Shell == nil || *command.Shell {
		return false
	}
	return strings.HasPrefix(command.GetValue(), "/") && !exists(command.GetValue())
}

// programOf is what a command does, and whether the emulator understands it; one
// that it does not understand runs until it is killed.
func programOf(command *mesos.CommandInfo) (code []instruction, understood bool) {
	var err error
	switch {
	case command == nil:
		err = errForeign
	case command.Shell == nil || *command.Shell:
		code, err = compile(command.GetValue(), exists)
	default:
		words := []string{command.GetValue()}
		if len(command.Arguments) > 1 {
			words = append(words, command.Arguments[1:]...)
		}
		if words[0] == "" || strings.Contains(words[0], " ") || !runsAlone[path.Base(words[0])] {
			err = errForeign
			break
		}
		code, err = simple(words, exists)
	}
	if err != nil {
		return []instruction{{op: opSleep, sleep: forever}}, false
	}
	return code, true
}

// runsAlone are the commands the interpreter knows that are programs, and not
// only words of the shell.
var runsAlone = map[string]bool{
	"sleep": true, "true": true, "false": true, "echo": true, "touch": true, "mkdir": true, "printf": true, "pwd": true,
	"date": true, "hostname": true, "env": true, "sync": true, "chmod": true, "sh": true, "bash": true,
}
