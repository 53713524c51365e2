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

package resources

import "testing"

func TestFlavourEqual(t *testing.T) {
	reserved := func(change func(*Reservation)) *Flavour {
		r := Reservation{Role: "eng", Dynamic: true, Principal: "ops", Labels: []Label{{"a", "1"}, {"b", "2"}}}
		change(&r)
		return &Flavour{Reservations: []Reservation{r}}
	}
	same := func(*Reservation) {}
	wire := func(f *Flavour, wire string) *Flavour {
		f.Wire = wire
		return f
	}
	tests := []struct {
		name string
		a, b *Flavour
		want bool
	}{
		{"unreserved", nil, nil, true},
		{"unreserved, written out", nil, &Flavour{}, true},
		{"both written out", &Flavour{Reservations: []Reservation{}}, &Flavour{}, true},
		{"revocable", RevocableFlavour, &Flavour{Revocable: true}, true},
		{"revocable or not", RevocableFlavour, nil, false},
		{"reserved or not", reserved(same), nil, false},
		{"reserved or revocable", reserved(same), RevocableFlavour, false},
		{"reserved alike", reserved(same), reserved(same), true},
		{"role", reserved(same), reserved(func(r *Reservation) { r.Role = "ops" }), false},
		{"static", reserved(same), reserved(func(r *Reservation) { r.Dynamic = false }), false},
		{"principal", reserved(same), reserved(func(r *Reservation) { r.Principal = "" }), false},
		{"label missing", reserved(same), reserved(func(r *Reservation) { r.Labels = r.Labels[:1] }), false},
		{"label differs", reserved(same), reserved(func(r *Reservation) { r.Labels = []Label{{"a", "1"}, {"b", "3"}} }), false},
		{"label twice", reserved(same), reserved(func(r *Reservation) { r.Labels = []Label{{"a", "1"}, {"a", "1"}} }), false},
		{"labels in another order", reserved(same), reserved(func(r *Reservation) { r.Labels = []Label{{"b", "2"}, {"a", "1"}} }), true},
		{"texts alike", reserved(func(r *Reservation) { r.Labels = []Label{{"a", "1, b=2"}} }), reserved(same), false},
		{"refined", reserved(same), &Flavour{Reservations: append(reserved(same).Reservations, Reservation{Role: "eng/ads"})}, false},
		{"as they came", wire(reserved(same), "x"), wire(reserved(same), "x"), true},
		{"came otherwise", wire(reserved(same), "x"), wire(reserved(same), "y"), false},
		{"came and made up", wire(reserved(same), "x"), reserved(same), false},
	}
	for _, tt := range tests {
		if got := tt.a.Equal(tt.b); got != tt.want {
			t.Errorf("%s: %v equals %v: %t", tt.name, tt.a, tt.b, got)
		}
		if got := tt.b.Equal(tt.a); got != tt.want {
			t.Errorf("%s: %v equals %v: %t", tt.name, tt.b, tt.a, got)
		}
	}
}

func TestFlavourReserved(t *testing.T) {
	refined := &Flavour{Reservations: []Reservation{
		{Role: "eng"},
		{Role: "eng/ads", Dynamic: true, Principal: "ops", Labels: []Label{{"pod", "web-0"}}},
	}}
	if got := refined.Reserved(); got == nil || got.Role != "eng/ads" || got.Label("pod") != "web-0" || got.Label("none") != "" {
		t.Errorf("Reserved = %v, want the last of the stack", got)
	}
	var none *Flavour
	if got := none.Reserved(); got != nil || got.Label("pod") != "" || none.IsRevocable() {
		t.Errorf("Reserved of nothing = %v", got)
	}
	for want, f := range map[string]*Flavour{
		"unreserved": nil,
		"revocable":  RevocableFlavour,
		"reserved for eng (static), refined reserved for eng/ads (dynamic, by ops, pod=web-0)": refined,
	} {
		if got := f.String(); got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	}
}
