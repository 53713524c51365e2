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

package nodelabels

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	rack   = AttributePrefix + "rack"
	region = v1.LabelTopologyRegion
	zone   = v1.LabelTopologyZone
)

type texts = map[string]string

func TestLabels(t *testing.T) {
	long := "x123456789012345678901234567890123456789012345678901234567890123"
	attributes, topology, unusable := Facts{
		Attributes: texts{
			"rack": "r1", "weight": "2.5", "empty": "", "cores": "[1-4]", "set": "{a,b}", "two words": "x", "a/b": "x",
			"long": long, long: "x", "ends-with": "dash-",
		},
		Region: "eu", Zone: "not a zone",
	}.labels()
	if diff := cmp.Diff(texts{rack: "r1", AttributePrefix + "weight": "2.5", AttributePrefix + "empty": ""}, attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(texts{region: "eu"}, topology); diff != "" {
		t.Errorf("topology (-want +got):\n%s", diff)
	}
	want := []string{"a/b:x", "cores:[1-4]", "ends-with:dash-", "fault domain not a zone", "long:" + long, "set:{a,b}", "two words:x", long + ":x"}
	if diff := cmp.Diff(want, unusable); diff != "" {
		t.Errorf("unusable (-want +got):\n%s", diff)
	}
}

func TestPlan(t *testing.T) {
	type values = map[string]any
	both := `{"topology.kubernetes.io/region":"eu","topology.kubernetes.io/zone":"eu-1"}`
	for _, test := range []struct {
		name                 string
		labels, annotations  texts
		attributes, topology texts
		want                 change
	}{
		{name: "nothing to show", labels: texts{"a": "b"}},
		{
			name: "new", labels: texts{"a": "b"}, attributes: texts{rack: "r1"}, topology: texts{region: "eu", zone: "eu-1"},
			want: change{values{rack: "r1", region: "eu", zone: "eu-1"}, values{TopologyAnnotation: both}},
		},
		{
			name: "shown already", labels: texts{rack: "r1", region: "eu", zone: "eu-1"}, annotations: texts{TopologyAnnotation: both},
			attributes: texts{rack: "r1"}, topology: texts{region: "eu", zone: "eu-1"},
		},
		{
			name: "changed", labels: texts{rack: "r1", region: "eu", zone: "eu-1"}, annotations: texts{TopologyAnnotation: both},
			attributes: texts{rack: "r2"}, topology: texts{region: "eu", zone: "eu-2"},
			want: change{values{rack: "r2", zone: "eu-2"}, values{TopologyAnnotation: `{"topology.kubernetes.io/region":"eu","topology.kubernetes.io/zone":"eu-2"}`}},
		},
		{
			name: "gone", labels: texts{rack: "r1", region: "eu", zone: "eu-1", "a": "b"}, annotations: texts{TopologyAnnotation: both, "c": "d"},
			want: change{values{rack: nil, region: nil, zone: nil}, values{TopologyAnnotation: nil}},
		},
		{
			name: "topology of somebody else", labels: texts{region: "us", zone: "us-1"}, topology: texts{region: "eu", zone: "eu-1"},
		},
		{
			name: "zone of somebody else", labels: texts{zone: "us-1"}, topology: texts{region: "eu", zone: "eu-1"},
			want: change{values{region: "eu"}, values{TopologyAnnotation: `{"topology.kubernetes.io/region":"eu"}`}},
		},
		{
			name: "somebody took the zone over", labels: texts{region: "eu", zone: "us-1"}, annotations: texts{TopologyAnnotation: both},
			topology: texts{region: "eu", zone: "eu-1"},
			want:     change{nil, values{TopologyAnnotation: `{"topology.kubernetes.io/region":"eu"}`}},
		},
		{
			name: "somebody took the zone over and the agent is gone", labels: texts{zone: "us-1"}, annotations: texts{TopologyAnnotation: `{"topology.kubernetes.io/zone":"eu-1"}`},
			want: change{nil, values{TopologyAnnotation: nil}},
		},
		{
			name: "somebody removed the zone", labels: texts{region: "eu"}, annotations: texts{TopologyAnnotation: both}, topology: texts{region: "eu", zone: "eu-1"},
			want: change{values{zone: "eu-1"}, nil},
		},
		{
			name: "a forged annotation removes nothing else", labels: texts{"a": "b", zone: "us-1"}, annotations: texts{TopologyAnnotation: `{"a":"b"}`},
			want: change{nil, values{TopologyAnnotation: nil}},
		},
		{
			name: "an annotation that does not parse", labels: texts{zone: "us-1"}, annotations: texts{TopologyAnnotation: `{`},
			want: change{nil, values{TopologyAnnotation: nil}},
		},
		{
			name: "a label with our prefix that no attribute explains", labels: texts{AttributePrefix + "old": "x"},
			want: change{values{AttributePrefix + "old": nil}, nil},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := plan(&v1.Node{ObjectMeta: metav1.ObjectMeta{Labels: test.labels, Annotations: test.annotations}}, test.attributes, test.topology)
			for _, m := range []*values{&test.want.labels, &test.want.annotations} {
				if *m == nil {
					*m = values{}
				}
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(change{})); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}
