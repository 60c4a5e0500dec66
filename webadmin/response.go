package webadmin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// response notes status and length of an answer, and gives every write its own
// time limit: a long answer may take long, a peer that does not read may not.
type response struct {
	http.ResponseWriter
	rc     *http.ResponseController
	status int
	length int64
}

func newResponse(w http.ResponseWriter) *response {
	return &response{ResponseWriter: w, rc: http.NewResponseController(w)}
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.extend()
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.extend()
	n, err := w.ResponseWriter.Write(p)
	w.length += int64(n)
	return n, err
}

// extend moves the time limit for writing. Writers that have none, in tests,
// are left alone.
func (w *response) extend() { _ = w.rc.SetWriteDeadline(time.Now().Add(stepTimeout)) }

// Error types, spelled as James does.
const (
	typeInvalid  = "InvalidArgument"
	typeNotFound = "notFound"
	typeState    = "WrongState"
	typeServer   = "ServerError"
)

// apiError is a structured error, as it goes to the client.
type apiError struct {
	StatusCode int     `json:"statusCode"`
	Type       string  `json:"type"`
	Message    string  `json:"message"`
	Details    *string `json:"details"`

	cause error
	empty bool // James sends no body
}

// Error returns the message and the cause, for the log.
func (e *apiError) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *apiError) Unwrap() error { return e.cause }

// because adds the text of err as details.
func (e *apiError) because(err error) *apiError {
	if err != nil {
		text := err.Error()
		e.cause, e.Details = err, &text
	}
	return e
}

func apiErrorf(status int, typ, format string, args ...any) *apiError {
	return &apiError{StatusCode: status, Type: typ, Message: fmt.Sprintf(format, args...)}
}

// badRequest is a 400 with a message of its own.
func badRequest(format string, args ...any) *apiError {
	return apiErrorf(http.StatusBadRequest, typeInvalid, format, args...)
}

// illegalArgument is the 400 for what has no message of its own.
func illegalArgument(format string, args ...any) *apiError {
	return badRequest("Invalid arguments supplied in the user request").because(fmt.Errorf(format, args...))
}

func notFound(format string, args ...any) *apiError {
	return apiErrorf(http.StatusNotFound, typeNotFound, format, args...)
}

// notFoundInvalid is the 404 that James types InvalidArgument, on the routes of
// domains, users, forwards and groups.
func notFoundInvalid(format string, args ...any) *apiError {
	return apiErrorf(http.StatusNotFound, typeInvalid, format, args...)
}

func conflict(format string, args ...any) *apiError {
	return apiErrorf(http.StatusConflict, typeState, format, args...)
}

func serverError(err error, format string, args ...any) *apiError {
	return apiErrorf(http.StatusInternalServerError, typeServer, format, args...).because(err)
}

// internal is the 500 for whatever was not foreseen.
func internal(err error) *apiError {
	return serverError(err, "WebAdmin encountered an unexpected internal error")
}

// invalidJSON is the 400 for a body that is not the JSON expected. One that is
// too large keeps its answer.
func invalidJSON(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return badRequest("JSON payload of the request is not valid").because(err)
}

// routeMiss is the answer to what has no route.
func routeMiss(r *http.Request) *apiError {
	return notFound("%s %s can not be found", r.Method, requestOf(r).path)
}

// fail answers with err.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *apiError
	if !errors.As(err, &e) {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			e = apiErrorf(http.StatusRequestEntityTooLarge, typeInvalid, "The request body is larger than %d octets", tooLarge.Limit)
		} else {
			e = internal(err)
		}
	}
	if e.StatusCode >= 500 {
		q := requestOf(r)
		q.log.ErrorContext(r.Context(), "webadmin error", "request", q.id, "method", r.Method, "path", q.path, "err", e)
	}
	writeError(w, e)
}

func writeError(w http.ResponseWriter, e *apiError) {
	if e.empty {
		w.WriteHeader(e.StatusCode)
		return
	}
	w.Header().Del("Content-Length")
	w.Header().Set("Content-Type", "application/json")
	_ = writeJSON(w, e.StatusCode, e)
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := marshal(v)
	if err != nil {
		return err
	}
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client has gone: nobody to tell
	return nil
}

// marshal writes < > & as they are: the readers are scripts, not browsers.
func marshal(v any) ([]byte, error) {
	var b jsonBuffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return b[:len(b)-1], nil // without the final line end
}

type jsonBuffer []byte

func (b *jsonBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

func ok(w http.ResponseWriter, v any) error { return writeJSON(w, http.StatusOK, v) }

func noContent(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// maxBody bounds a JSON body, in octets.
const maxBody = 1 << 20

// readBody returns the body of a request, at most limit octets.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	return b, nil
}

// readJSON reads a body of one JSON value into v. Unknown properties and text
// behind the value are errors.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the JSON document")
	}
	return nil
}

// arrayWriter writes a JSON array element by element, so that its length costs
// no memory. Nothing is sent before the first element or close.
type arrayWriter struct {
	w     http.ResponseWriter
	buf   []byte
	begun bool
}

func (a *arrayWriter) add(v any) error {
	b, err := marshal(v)
	if err != nil {
		return err
	}
	sep := byte(',')
	if !a.begun {
		a.begun, sep = true, '['
	}
	a.buf = append(append(a.buf, sep), b...)
	if len(a.buf) < 32<<10 {
		return nil
	}
	return a.flush()
}

func (a *arrayWriter) flush() error {
	_, err := a.w.Write(a.buf)
	a.buf = a.buf[:0]
	return err
}

// close ends the array. With an error and part of the array sent, the
// connection is broken off: the client must not take the part for the whole.
func (a *arrayWriter) close(err error) error {
	if err != nil {
		if rw, is := a.w.(*response); is && rw.status != 0 {
			panic(http.ErrAbortHandler)
		}
		return err
	}
	if !a.begun {
		a.buf = append(a.buf, '[')
	}
	a.buf = append(a.buf, ']')
	_ = a.flush() // the client has gone: nobody to tell
	return nil
}
