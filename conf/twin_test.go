package conf

import "testing"

func TestTwin(t *testing.T) {
	var r Report
	f := ParseXML("x.xml", []byte(`<processors>
		<processor><mailet class="Hook"><url>a</url><retries>1</retries></mailet><mailet class="Other"><url>a</url></mailet></processor>
		<processor>
			<mailet class="Hook"><url>b</url></mailet>
			<mailet class="org.example.Hook"><retries>5</retries><url> a </url></mailet>
			<matcher class="Hook"><url>a</url></matcher>
			<mailet class="Hook"><url>a</url></mailet>
			<mailet class="Hook"><url>a</url><url>b</url></mailet>
		</processor></processors>`), &r)
	var got []int
	for _, e := range f.Root.FindElements("//mailet") {
		got = append(got, NewParams(f, e, e.SelectAttrValue("class", ""), &r).Twin("url"))
	}
	want := []int{0, 0, 0, 1, 2, 0}
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}
