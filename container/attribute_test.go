package container

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"
)

func sample() Attributes {
	return Attributes{
		"b": true, "s": "abc\n\"ü", "i": int32(-7), "l": int64(1) << 40, "f": float32(1.5), "d": 0.1,
		"t": time.Date(2026, 8, 22, 12, 0, 0, 5, time.UTC), "y": []byte{0, 255},
		"c": []Value{"x", int32(1)}, "m": map[string]Value{"k": "v", "n": []Value{}},
	}
}

func TestAttributesRoundTrip(t *testing.T) {
	in := sample()
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out Attributes
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	if !reflect.DeepEqual(in, out) {
		t.Errorf("got  %#v\nwant %#v", out, in)
	}
}

func TestAttributesForm(t *testing.T) {
	for _, tc := range []struct {
		value Value
		want  string
	}{
		{true, `{"a":{"serializer":"BooleanSerializer","value":true}}`},
		{"x", `{"a":{"serializer":"StringSerializer","value":"x"}}`},
		{int32(3), `{"a":{"serializer":"IntSerializer","value":3}}`},
		{int64(3), `{"a":{"serializer":"LongSerializer","value":3}}`},
		{[]byte("hi"), `{"a":{"serializer":"BytesSerializer","value":"aGk="}}`},
		{[]Value{"x"}, `{"a":{"serializer":"CollectionSerializer","value":[{"serializer":"StringSerializer","value":"x"}]}}`},
		{map[string]Value{"k": true}, `{"a":{"serializer":"MapSerializer","value":{"k":{"serializer":"BooleanSerializer","value":true}}}}`},
		{errors.New("an error cannot be stored"), `{}`},
	} {
		got, err := json.Marshal(Attributes{"a": tc.value})
		if err != nil || string(got) != tc.want {
			t.Errorf("%#v: got %s, %v, want %s", tc.value, got, err, tc.want)
		}
	}
}

func TestAttributesFromJames(t *testing.T) {
	const in = `{"d":{"serializer":"DateSerializer","value":"2016-09-08T14:25:52.000Z[UTC]"},` +
		`"o":{"serializer":"OptionalSerializer","value":null},"l":{"serializer":"LongSerializer","value":4}}`
	var a Attributes
	if err := json.Unmarshal([]byte(in), &a); err != nil {
		t.Fatal(err)
	}
	if d, ok := a.Time("d"); !ok || !d.Equal(time.Date(2016, 9, 8, 14, 25, 52, 0, time.UTC)) {
		t.Errorf("date is %v, %t", d, ok)
	}
	out, _ := json.Marshal(Attributes{"o": a["o"]})
	if want := `{"o":{"serializer":"OptionalSerializer","value":null}}`; string(out) != want {
		t.Errorf("unknown serializer written as %s, want %s", out, want)
	}
	if _, ok := a.Int("l"); ok {
		t.Error("a Long counts as Integer")
	}
}

func TestRecipientStringIgnoresCase(t *testing.T) {
	a := Attributes{AttrDSNNotify: map[string]Value{"Bob@x.test": "NEVER"}}
	if s, ok := a.RecipientString(AttrDSNNotify, MustAddress("bob@X.test")); !ok || s != "NEVER" {
		t.Errorf("got %q, %t", s, ok)
	}
}

func TestCloneIsDeep(t *testing.T) {
	in := sample()
	c := in.Clone()
	c["m"].(map[string]Value)["k"] = "changed"
	c["c"].([]Value)[0] = "changed"
	c["y"].([]byte)[0] = 9
	if !reflect.DeepEqual(in, sample()) {
		t.Errorf("a change of the copy shows in %#v", in)
	}
}

// Whatever is read is written and read again as the same attributes.
func FuzzAttributes(f *testing.F) {
	data, _ := json.Marshal(sample())
	f.Add(data)
	f.Add([]byte(`{"a":{"serializer":"X","value":[1]},"b":{"serializer":"DateSerializer","value":"2020-01-01T00:00:00+01:00[Europe/Paris]"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a, b Attributes
		if json.Unmarshal(data, &a) != nil {
			return
		}
		out, err := json.Marshal(a)
		if err != nil {
			t.Fatalf("%s cannot be written again: %v", data, err)
		}
		if err := json.Unmarshal(out, &b); err != nil {
			t.Fatalf("%s written as %s: %v", data, out, err)
		}
		again, _ := json.Marshal(b)
		var x, y any
		if json.Unmarshal(out, &x) != nil || json.Unmarshal(again, &y) != nil || !reflect.DeepEqual(x, y) {
			t.Errorf("%s becomes %s", out, again)
		}
	})
}
