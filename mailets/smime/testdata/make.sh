#!/bin/sh
# Makes the files of this folder anew with openssl 3: keys, certificates that are
# valid for 100 years, and messages as other programs write them.
set -e
cd "$(dirname "$0")"
rm -f *.pem *.eml
cat >ca.cnf <<'END'
[ca]
default_ca = d
[d]
database = index.txt
rand_serial = yes
unique_subject = no
new_certs_dir = .
default_md = sha256
policy = p
default_startdate = 20200101000000Z
default_enddate = 21200101000000Z
[p]
commonName = supplied
emailAddress = optional
END
: >index.txt
request() { openssl req -new -newkey $2 -nodes -keyout $1.key.pem -out req.pem -subj "$3" 2>/dev/null; }
request ca rsa:2048 "/CN=Test CA"
printf 'basicConstraints=critical,CA:true\nsubjectKeyIdentifier=hash\n' >ext.cnf
openssl ca -batch -notext -config ca.cnf -selfsign -keyfile ca.key.pem -in req.pem -extfile ext.cnf -out ca.pem 2>/dev/null
issue() { # NAME KEYARGS EXTENSIONS
	request $1 "$2" "/CN=$1/emailAddress=$1@example.org"
	printf 'subjectAltName=email:%s@example.net\nsubjectKeyIdentifier=hash\n%s\n' $1 "$3" >ext.cnf
	openssl ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca.key.pem -in req.pem -extfile ext.cnf -out $1.pem 2>/dev/null
}
issue rsa rsa:2048 "extendedKeyUsage=emailProtection"
issue ec "ec -pkeyopt ec_paramgen_curve:P-256" "extendedKeyUsage=emailProtection"
issue server rsa:2048 "extendedKeyUsage=serverAuth"
issue crypt rsa:2048 "keyUsage=keyEncipherment"
rm -f req.pem *.cnf index.txt* [0-9A-F]*.pem
printf 'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe, signed.\r\n\r\n-- \r\nbye\r\n' >content.eml
head() { printf 'From: rsa@example.org\r\nTo: bob@example.com\r\nSubject: test\r\nX-SMIME-Status: forged\r\n'; }
make() { # NAME COMMAND...
	out=$1
	shift
	{
		head
		command=$1
		shift
		openssl $command -in content.eml "$@"
	} | sed 's/\r$//; s/$/\r/' >$out.eml
}
key() { echo "-signer $1.pem -inkey $1.key.pem"; }
make smime-detached smime -sign $(key rsa) -crlfeol
make smime-md5 smime -sign -md md5 $(key rsa) -crlfeol
make cms-sha1 cms -sign -md sha1 $(key rsa) -binary
make cms-sha256 cms -sign -md sha256 $(key rsa) -binary
make cms-sha512-ec cms -sign -md sha512 $(key ec) -binary
make cms-pss cms -sign -md sha256 $(key rsa) -keyopt rsa_padding_mode:pss -binary
make cms-keyid cms -sign -keyid $(key rsa) -binary
make cms-noattr cms -sign -noattr $(key rsa) -binary
make cms-two cms -sign $(key rsa) $(key ec) -binary
make cms-nocerts cms -sign -nocerts $(key rsa) -binary
make cms-server cms -sign $(key server) -binary
make opaque cms -sign -nodetach $(key rsa) -binary
make opaque-stream cms -sign -nodetach -stream $(key rsa) -binary
make opaque-smime smime -sign -nodetach $(key rsa) -binary
make enc-aes256 cms -encrypt -aes256 -binary rsa.pem
make enc-aes128-stream cms -encrypt -aes128 -stream -binary rsa.pem
make enc-aes192-keyid cms -encrypt -aes192 -keyid -binary -recip rsa.pem
make enc-3des smime -encrypt -des3 -binary rsa.pem
make enc-gcm cms -encrypt -aes-256-gcm -binary -recip rsa.pem
make enc-gcm-stream cms -encrypt -aes-128-gcm -stream -binary -recip rsa.pem
make enc-oaep cms -encrypt -aes256 -binary -recip rsa.pem -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256
make enc-oaep-sha1 cms -encrypt -aes256 -binary -recip rsa.pem -keyopt rsa_padding_mode:oaep
make enc-two cms -encrypt -aes256 -binary -recip ec.pem -recip crypt.pem -recip rsa.pem
make enc-ec cms -encrypt -aes256 -binary -recip ec.pem
make enc-ec-sha256 cms -encrypt -aes128 -binary -recip ec.pem -keyopt ecdh_kdf_md:sha256
make enc-ec-keyid cms -encrypt -aes256 -keyid -binary -recip ec.pem
make enc-crypt cms -encrypt -aes256 -binary -recip crypt.pem
make enc-camellia cms -encrypt -camellia128 -binary -recip rsa.pem
