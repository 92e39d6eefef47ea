"""For a member behind TLS: the script that makes its certificates in a lab, its flags, and a conf's keys, out."""

CERTIFICATES = """
set -eu
mkdir -p /run/tls && cd /run/tls
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 2
for name in server client; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key -out $name.csr -subj /CN=$name
    printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth\\n' >$name.ext
    openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $name.crt -days 2 -extfile $name.ext
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout x.key -out other-ca.crt -subj /CN=x -days 2
"""
SERVER = ("--cert-file=/run/tls/server.crt", "--key-file=/run/tls/server.key", "--trusted-ca-file=/run/tls/ca.crt")
CLIENT = {"etcd_cert_file": "/run/tls/client.crt", "etcd_key_file": "/run/tls/client.key"}
