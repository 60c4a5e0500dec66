package conf

import (
	"path"
	"slices"
	"strings"
)

// readFiles are the files that mailetd reads.
var readFiles = []string{
	"mailetcontainer.xml", "smtpserver.xml", "lmtpserver.xml", "domainlist.xml", "usersrepository.xml",
	"recipientrewritetable.xml", "dnsservice.xml", "mailrepositorystore.xml",
	"webadmin.properties", "healthcheck.properties", "droplists.properties", "redis.properties", "jvm.properties", "classes.properties",
	"extensions.properties", // for its warning
}

// passedOver are the files of James's products that mean nothing here, with
// what they set up there.
var passedOver = map[string]string{
	"logback.xml": "logging", "logback-cli.xml": "logging", "log4j2.xml": "logging",
	"jmx.properties": "JMX", "jmxremote.access": "JMX", "jmxremote.password": "JMX",
	"setenv.sh": "the JVM launcher", "META-INF": "JPA", "lib": "Java classes",
	"queue.properties": "the choice of a queue broker", "queue-pulsar.properties": "the choice of a queue broker",
	"rabbitmq.properties": "RabbitMQ", "pulsar.properties": "Pulsar", "activemq.properties": "ActiveMQ",
	"cassandra.properties": "Cassandra", "cassandra-driver.conf": "Cassandra", "postgres.properties": "PostgreSQL",
	"james-database.properties": "JPA", "james-database-mariadb.properties": "JPA", "james-database-postgres.properties": "JPA",
	"sqlResources.xml": "JDBC", "blob.properties": "the blob store",
	"batchsizes.properties": "mailboxes", "opensearch.properties": "search", "elasticsearch.properties": "search",
	"tika.properties": "search", "indexer.xml": "search", "listeners.xml": "mailbox events", "events.xml": "mailbox events",
	"imapserver.xml": "IMAP", "pop3server.xml": "POP3", "managesieveserver.xml": "ManageSieve",
	"jmap.properties": "JMAP", "deletedMessageVault.properties": "the deleted message vault",
	"mailbox.xml": "mailboxes", "quota.xml": "quotas", "sieverepository.xml": "Sieve scripts", "fetchmail.xml": "fetching of mail",
	"spring-server.xml": "Spring", "spring-beans.xml": "Spring", "scriptFile.scala": "a demonstration",
	"uploadUsage.properties": "JMAP", "preDeletionHooks.xml": "mailboxes", "metrics.properties": "metrics",
	"crowdsec.properties": "CrowdSec", "rspamd.properties": "Rspamd", "spamassassin.properties": "SpamAssassin",
}

// Ignored returns the files of the folder that James reads and mailetd does
// not, sorted: brokers, databases, mailboxes, other protocols.
func (d *Dir) Ignored() []string {
	var out []string
	for _, n := range d.names {
		if _, ok := passedOver[n]; ok && !d.used[n] {
			out = append(out, n)
		}
	}
	return sorted(out)
}

// Close warns about the configuration files of the folder that neither James
// nor the configuration itself knows, and about settings in files of James that
// nothing has read. Call it when everything has been read.
func (d *Dir) Close() {
	d.unread()
	for _, n := range d.names {
		_, ignored := passedOver[n]
		ext := strings.ToLower(path.Ext(n))
		if ignored || d.used[n] || slices.Contains(readFiles, n) || ext != ".xml" && ext != ".properties" {
			continue
		}
		d.report.Warnf(Pos{File: n}, "James has no configuration file of this name; ignored%s", Suggest(n, readFiles))
	}
}
