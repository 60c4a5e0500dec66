package conf

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRedis(t *testing.T) {
	for _, tc := range []struct{ file, want string }{
		{"redisURL=redis://redis", "standalone [redis:6379] user= db=0 tls=false"},
		{"redisURL=redis://123@[::1]:7000/2?timeout=2s\nredis.readFrom=master\nredis.ioThreads=3", "standalone [[::1]:7000] user= password=123 db=2 tls=false timeout=2s"},
		{"redisURL=redis://me:p%40ss@h:1", "standalone [h:1] user=me password=p@ss db=0 tls=false"},
		{"redisURL=redis-socket:///run/redis.sock", "standalone [/run/redis.sock] user= db=0 tls=false"},
		{"redisURL=rediss://h\nredis.ssl.enabled=true", "standalone [h:6379] user= db=0 tls=true"},
		{"redisURL=redis://a:1,redis://b:2\nredis.topology=cluster", "cluster [a:1 b:2] user= db=0 tls=false"},
		{"redisURL=redis://a:1,redis://b:2\nredis.topology=master-replica", "master-replica [a:1 b:2] user= db=0 tls=false"},
		{"redisURL=redis-sentinel://pw@a:26379#mymaster,redis-sentinel://pw@b:26379\nredis.topology=sentinel\nredis.sentinelPassword=s", "sentinel [a:26379 b:26379] user= password=pw db=0 tls=false master=mymaster sentinel=s"},
		{"redisURL=redis-sentinel://pw@a:26379,b#mymaster\nredis.topology=sentinel\nredis.sentinelPassword=s", "sentinel [a:26379 b:26379] user= password=pw db=0 tls=false master=mymaster sentinel=s"},
	} {
		d, r := one(t, "redis.properties", tc.file)
		got := d.Redis()
		d.Close()
		if problems := problemLines(r); got == nil || problems != "" {
			t.Errorf("%s: got %v\n%s", tc.file, got, problems)
			continue
		}
		text := fmt.Sprintf("%s %s user=%s", got.Topology, got.Addrs, got.Username)
		for name, v := range map[string]string{"password": got.Password} {
			if v != "" {
				text += " " + name + "=" + v
			}
		}
		text += fmt.Sprintf(" db=%d tls=%t", got.DB, got.TLS != nil)
		if got.Timeout > 0 {
			text += " timeout=" + got.Timeout.Round(time.Millisecond).String()
		}
		if got.Master != "" {
			text += " master=" + got.Master + " sentinel=" + got.SentinelPassword
		}
		if text != tc.want {
			t.Errorf("%s: got %s, want %s", tc.file, text, tc.want)
		}
	}
	if got := Open("", Options{Env: noEnv}, &Report{}).Redis(); got != nil {
		t.Errorf("got %v without a file", got)
	}
}

func TestRedisProblems(t *testing.T) {
	for file, want := range map[string]string{
		"":                                             "redisURL is required",
		"redisURL=localhost:6379":                      "want redis://",
		"redisURL=http://localhost":                    "want redis://",
		"redisURL=redis://":                            "is not HOST:PORT",
		"redisURL=redis://h:0":                         "is not HOST:PORT",
		"redisURL=redis://h/x":                         "is not the number of a database",
		"redisURL=redis://a,redis://b":                 "redis.topology is standalone",
		"redisURL=redis://h?colour=red":                "the option colour is not known",
		"redisURL=redis://h?timeout=x":                 "is not a duration",
		"redisURL=rediss://h?verifyPeer=MAYBE":         "is not FULL, CA or NONE",
		"redisURL=redis://%zz@h":                       "hexadecimal",
		"redisURL=redis-socket://run":                  "redis-socket:///PATH",
		"redisURL=redis://h\nredis.topology=ring":      "is not standalone",
		"redisURL=redis://h\nredis.topology=sentinel":  "#MASTER",
		"redisURL=redis://h\nredis.ssl.enabled=true":   "rediss://",
		"redisURL=redis://h/1\nredis.topology=cluster": "no databases",
		"redisURL=rediss://h\nredis.keystore.file.path=file:///nowhere.p12\nredis.ignoreCertificateCheck=false": "nowhere.p12",
	} {
		d, r := one(t, "redis.properties", file+"\n")
		if got := d.Redis(); got != nil || !strings.Contains(problemLines(r), want) || strings.Contains(problemLines(r), "is not a key") {
			t.Errorf("%q: got %v\n%swant %s", file, got, problemLines(r), want)
		}
	}
	for _, file := range []string{"redisURL=rediss://h?verifyPeer=NONE", "redisURL=rediss://h\nredis.ignoreCertificateCheck=true"} {
		d, r := one(t, "redis.properties", file)
		if got := d.Redis(); got == nil || !got.TLS.InsecureSkipVerify || !strings.Contains(problemLines(r), "warning: the certificate of Redis is not checked") {
			t.Errorf("%s: got %v\n%s", file, got, problemLines(r))
		}
	}
	d, _ := one(t, "redis.properties", "redisURL=rediss://h?verifyPeer=CA")
	if got := d.Redis(); got == nil || got.TLS.VerifyConnection == nil {
		t.Errorf("got %+v", got)
	}
}
