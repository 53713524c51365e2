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

package core

import (
	"strconv"
	"strings"
	"time"
)

// recordedFlags are the flags of a recorded master that nothing here changes.
var recordedFlags = map[string]string{
	"allocator":                              "hierarchical",
	"allocator_agent_recovery_factor":        "0.8",
	"allocator_recovery_timeout":             "10mins",
	"authenticate_agents":                    "false",
	"authenticate_frameworks":                "false",
	"authenticate_http_frameworks":           "false",
	"authenticate_http_readonly":             "false",
	"authenticate_http_readwrite":            "false",
	"authentication_v0_timeout":              "15secs",
	"authenticators":                         "crammd5",
	"authorizers":                            "local",
	"framework_sorter":                       "drf",
	"help":                                   "false",
	"hostname_lookup":                        "true",
	"http_authenticators":                    "basic",
	"initialize_driver_logging":              "true",
	"log_auto_initialize":                    "true",
	"logbufsecs":                             "0",
	"logging_level":                          "INFO",
	"max_completed_frameworks":               "50",
	"max_completed_tasks_per_framework":      "1000",
	"max_operator_event_stream_subscribers":  "1000",
	"max_unreachable_tasks_per_framework":    "1000",
	"memory_profiling":                       "false",
	"offer_constraints_re2_max_mem":          "4KB",
	"offer_constraints_re2_max_program_size": "100",
	"publish_per_framework_metrics":          "true",
	"quiet":                                  "false",
	"recovery_agent_removal_limit":           "100%",
	"registry":                               "replicated_log",
	"registry_fetch_timeout":                 "1mins",
	"registry_gc_interval":                   "15mins",
	"registry_max_agent_age":                 "2weeks",
	"registry_max_agent_count":               "102400",
	"registry_store_timeout":                 "20secs",
	"registry_strict":                        "false",
	"require_agent_domain":                   "false",
	"role_sorter":                            "drf",
	"root_submissions":                       "true",
	"version":                                "false",
	"zk_session_timeout":                     "10secs",
}

// durationText writes a duration as Mesos does: the largest unit that leaves the
// number at one or more, "250ms", "1secs", "10mins" (stout duration.hpp).
func durationText(d time.Duration) string {
	units := []struct {
		unit time.Duration
		name string
	}{
		{7 * 24 * time.Hour, "weeks"}, {24 * time.Hour, "days"}, {time.Hour, "hrs"}, {time.Minute, "mins"},
		{time.Second, "secs"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"},
	}
	for _, u := range units {
		if d >= u.unit {
			return strconv.FormatFloat(float64(d)/float64(u.unit), 'g', -1, 64) + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}

// minAllocatableText is the text of --min_allocatable_resources.
func minAllocatableText(sets []map[string]int64) string {
	texts := make([]string, len(sets))
	for i, set := range sets {
		parts := make([]string, 0, len(set))
		for _, name := range sortedKeys(set) {
			parts = append(parts, name+":"+strconv.FormatFloat(float64(set[name])/1000, 'g', -1, 64))
		}
		texts[i] = strings.Join(parts, ";")
	}
	return strings.Join(texts, "|")
}
