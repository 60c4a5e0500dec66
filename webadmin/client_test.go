package webadmin_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/repository"
)

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config testdata/client.yaml openapi.json
//go:generate sh -c "sha256sum openapi.json testdata/client.yaml > testdata/client.sum"

// The generated client was made from the description as it is now.
func TestGeneratedClientIsCurrent(t *testing.T) {
	sums, err := os.ReadFile("testdata/client.sum")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sums)) {
		want, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has changed: run go generate ./webadmin", file)
		}
	}
}

// TestGeneratedClient drives a server over HTTP with a client that was generated
// from openapi.json.
func TestGeneratedClient(t *testing.T) {
	w := newWorld(t)
	web := httptest.NewServer(w.web)
	defer web.Close()
	c, err := NewClientWithResponses(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()

	if r, err := c.CreateDomainWithResponse(ctx, "here.test"); err != nil || r.StatusCode() != 204 {
		t.Fatalf("domain: %v, %v", r, err)
	}
	if r, err := c.PutUserWithResponse(ctx, "bob@here.test", &PutUserParams{}, Password{Password: "secret"}); err != nil || r.StatusCode() != 204 {
		t.Fatalf("user: %v, %v", r, err)
	}
	if r, err := c.PutUserWithResponse(ctx, "bob@here.test", nil, Password{Password: "secret"}); err != nil || r.JSON409 == nil || r.JSON409.Type != ErrorTypeWrongState {
		t.Errorf("the user again: %v, %v", r, err)
	}
	if r, err := c.CreateAliasWithResponse(ctx, "bob@here.test", "sales@here.test"); err != nil || r.StatusCode() != 204 {
		t.Errorf("alias: %v, %v", r, err)
	}
	if r, err := c.ListMappingsWithResponse(ctx); err != nil || r.JSON200 == nil || (*r.JSON200)["sales@here.test"][0] != (Mapping{"bob@here.test", MappingTypeAlias}) {
		t.Errorf("mappings: %v, %v", r, err)
	}
	if r, err := c.SendMessageWithBodyWithResponse(ctx, "message/rfc822", strings.NewReader("From: a@b.test\nTo: bob@here.test\n\nhello\n")); err != nil || r.StatusCode() != 201 {
		t.Errorf("message: %v, %v", r, err)
	}
	if r, err := c.ListQueuesWithResponse(ctx); err != nil || r.JSON200 == nil || len(*r.JSON200) != 1 {
		t.Errorf("queues: %v, %v", r, err)
	}
	limit := int64(5)
	if r, err := c.ListQueueItemsWithResponse(ctx, "spool", &ListQueueItemsParams{Limit: &limit}); err != nil || r.JSON200 == nil ||
		len(*r.JSON200) != 1 || *(*r.JSON200)[0].Sender != "a@b.test" || (*r.JSON200)[0].NextDelivery != nil {
		t.Errorf("items: %v, %v", r, err)
	}
	reprocessWithClient(t, w, c)
}

// reprocessWithClient brings the mails of a repository into the spool.
func reprocessWithClient(t *testing.T, w *world, c *ClientWithResponses) {
	t.Helper()
	ctx := t.Context()
	protocol, path := "file", "var/mail/error"
	if r, err := c.CreateRepositoryWithResponse(ctx, path, &CreateRepositoryParams{Protocol: &protocol}); err != nil || r.StatusCode() != 204 {
		t.Fatalf("repository: %v, %v", r, err)
	}
	u, _ := repository.ParseURL("file://var/mail/error")
	w.fill(u, 20)
	if r, err := c.ListMailsWithResponse(ctx, path, nil); err != nil || r.JSON200 == nil || len(*r.JSON200) != 20 {
		t.Errorf("mails: %v, %v", r, err)
	}
	fields := []string{"headers", "messageSize"}
	mail, err := c.GetMailWithResponse(ctx, path, "mail-000003", &GetMailParams{AdditionalFields: &fields})
	if err != nil || mail.JSON200 == nil || mail.JSON200.MessageSize == nil || mail.JSON200.Headers == nil || (*mail.JSON200.Headers)["Subject"][0] != "x" {
		t.Errorf("mail: %v, %v", mail, err)
	}
	action, processor := PatchMailsParamsActionReprocess, "relay"
	task, err := c.PatchMailsWithBodyWithResponse(ctx, path, &PatchMailsParams{Action: &action, Processor: &processor}, "application/json", nil)
	if err != nil || task.JSON201 == nil {
		t.Fatalf("reprocessing: %v, %v", task, err)
	}
	done, err := c.AwaitTaskWithResponse(ctx, task.JSON201.TaskId, nil)
	if err != nil || done.JSON200 == nil || done.JSON200.Status != Completed || *done.JSON200.AdditionalInformation.RemainingCount != 0 {
		t.Fatalf("task: %v, %v", done, err)
	}
	if r, err := c.GetQueueWithResponse(ctx, "spool"); err != nil || r.JSON200 == nil || r.JSON200.Size != 21 {
		t.Errorf("spool: %v, %v", r, err)
	}
	if r, err := c.GetQueueWithResponse(ctx, "nothing"); err != nil || r.JSON404 == nil || r.JSON404.Message != "MailQueueName{value=nothing} can not be found" {
		t.Errorf("no queue: %v, %v", r, err)
	}
}
