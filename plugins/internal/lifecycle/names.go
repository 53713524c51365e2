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

package lifecycle

// Labels of our tasks in Mesos.
const (
	LabelNamespace = "kube-mesos.io/pod-namespace"
	LabelName      = "kube-mesos.io/pod-name"
	LabelUID       = "kube-mesos.io/pod-uid"
)

// Annotations of our pods, written by the binding itself.
const (
	// AnnotationTask is the id of the placeholder task that holds the pod's resources.
	AnnotationTask = "kube-mesos.io/task-id"
	// AnnotationAgent is the Mesos agent that runs it.
	AnnotationAgent = "kube-mesos.io/agent-id"
	// AnnotationFramework is the framework that owns it.
	AnnotationFramework = "kube-mesos.io/framework-id"
	// AnnotationRole is the Mesos role that its resources are allocated to. Of a pod
	// that waits it says which of its namespace's roles the pod wants.
	AnnotationRole = "kube-mesos.io/role"
	// AnnotationResources is what the task of AnnotationTask holds, as Mesos writes
	// resources. Pods bound by earlier releases have none.
	AnnotationResources = "kube-mesos.io/task-resources"
	// AnnotationExtras are the further tasks of a pod that was resized: a JSON object
	// of task ids and what each holds. It is written after the binding.
	AnnotationExtras = "kube-mesos.io/extra-tasks"
)

// Annotations of pods, written by their users.
const (
	// AnnotationOrder says which resources are used first: an Order by name.
	AnnotationOrder = "kube-mesos.io/reservation-policy"
	// AnnotationRevocable says whether the pod may use revocable resources.
	AnnotationRevocable = "kube-mesos.io/revocable"
	// AnnotationOnLost says what becomes of the pod if Mesos ends the task that holds
	// its resources: Evict, Reacquire or Keep.
	AnnotationOnLost = "kube-mesos.io/on-claim-lost"
)

// Reasons and actions of the events we record on pods and nodes.
const (
	EventLaunchFailed     = "MesosLaunchFailed"
	EventTaskLost         = "MesosTaskLost"
	EventRevoked          = "MesosResourcesRevoked"
	EventAgentAmbiguous   = "MesosAgentAmbiguous"
	EventRoleRefused      = "MesosRoleRefused"
	EventResized          = "MesosResized"
	EventResizePending    = "MesosResizePending"
	EventFrameworkRemoved = "MesosFrameworkRemoved"
	EventIdentityChanged  = "MesosIdentityChanged"
	EventIdentityRestored = "MesosIdentityRestored"
	EventEvictionsHalted  = "MesosEvictionsHalted"
	EventEvictionsResumed = "MesosEvictionsResumed"
	EventReacquired       = "MesosClaimReacquired"
	EventMaintenance      = "MesosMaintenance"
	EventAgentDeactivated = "MesosAgentDeactivated"
	EventAgentReactivated = "MesosAgentReactivated"
	EventAgentDrained     = "MesosAgentDrained"
	EventAgentRefused     = "MesosAgentUnchanged"
	EventMasterRefuses    = "MesosConnectionRefused"
	actionConnect         = "Connecting"
	actionMaintain        = "Maintaining"
	actionLaunch          = "Launching"
	actionEvict           = "Evicting"
	actionReacquire       = "Reacquiring"
	actionIdentify        = "Identifying"
	actionKeep            = "Keeping"
	actionMap             = "Mapping"
	actionRoles           = "Subscribing"
	actionResize          = "Resizing"
)
