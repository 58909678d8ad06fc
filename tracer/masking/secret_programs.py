"""The table of :mod:`tracer.masking.secret_options`: programs that are given secrets."""

# ruff: noqa: ISC004, S106 (names in one string, and options that are called secret)
from __future__ import annotations

from tracer.masking.secret_options import program as p
from tracer.masking.secret_options import table

_DASH_P = p(secret="-p --password")
_LOGIN = p(secret="-p --password --password-stdin", plain="--password-stdin")

SECRETIVE = table((
    # Databases
    ("mysql mariadb mysqldump mariadb-dump mysqladmin mariadb-admin mysqlimport mysqlcheck"
     " mysqlshow mysqlslap mysqlbinlog mysqlpump mysql_upgrade mytop mydumper myloader xtrabackup"
     " mariabackup innobackupex mysqlsh pt-query-digest pt-table-checksum", _DASH_P),
    ("psql pg_dump pg_dumpall pg_restore pg_basebackup pg_isready createdb dropdb createuser"
     " vacuumdb reindexdb pgbench", p(plain="--password -W")),
    ("mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop mongofiles"
     " bsondump", _DASH_P),
    ("redis-cli valkey-cli keydb-cli redis-benchmark",
     p(secret="-a --pass", after="auth:1-2 auth2:1-2 requirepass:1 masterauth:1 setuser:2-")),
    ("redis-server valkey-server", p(secret="--requirepass --masterauth")),
    ("sqlcmd bcp tsql go-sqlcmd mssql-cli", p(secret="-P")),
    ("isql iusql", p(secret="-P", places="3")),
    ("sqlplus sql sqlcl rman exp imp expdp impdp sqlldr tnsping", p(is_slashed=True)),
    ("cqlsh", _DASH_P), ("nodetool", p(secret="-pw --password", is_long=True)),
    ("beeline impala-shell hive sqoop", p(secret="-p --password")),
    ("influx influxd", p(secret="-p -t -password --password --token", is_long=True)),
    ("clickhouse clickhouse-client", p(secret="--password")),
    ("zkCli.sh zkCli", p(after="addauth:2")), ("etcdctl", p(login="--user", after="add:1")),
    ("snowsql bteq vsql nzsql ysqlsh gsql exaplus", p(secret="-p -w -pw --password")),
    ("arangosh cypher-shell neo4j-admin", p(secret="-p --password --server.password",
                                          after="set-initial-password:1")),
    # The web, files, mail
    ("curl", p(secret="--oauth2-bearer -b --cookie", login="-u --user -U --proxy-user -E --cert"
               " --proxy-cert", letters="AbcCdDeEFhHKmoPQrtTuUwxXyYz")),
    ("wget wget2 aria2c axel", p(secret="--password")),
    ("http https xh httpie", p(login="-a --auth")),
    ("ab", p(login="-A -P")), ("hey bombardier", p(login="-a")),
    ("lftp ncftp", p(login="-u", script="-e -c")), ("ncftpget ncftpput ncftpls", _DASH_P),
    ("swaks", p(secret="-ap --auth-password", is_long=True)),
    ("sendemail sendEmail", p(secret="-xp", is_long=True)),
    ("s3cmd mc mcli", p(after="set:3-4 add:4-5")), ("swift", p(secret="-K --key")),
    ("rclone", p(after="obscure:1 pass:1 password:1 reveal:1")),
    ("smbclient smbget rpcclient smbcacls smbtree smbspool winexe net wbinfo smbmap smbcquotas",
     p(login="-U --user -a --authenticate", secret="-p --password", places="2")),
    ("samba-tool", p(login="-U --user", after="create:2 add:2")),
    ("7z 7za 7zr 7zz rar unrar", p(glued="-p -hp")),
    ("zip zipcloak", p(secret="-P", letters="bitnx")),
    ("unzip", p(secret="-P", letters="dx")),
    ("svn svnsync hg p4 cvs", p(secret="-P --password")),
    # Keys, users, directories
    ("openssl", p(
        is_long=True, secret="-pass -passin -passout -password -k -K -hmac -psk -srppass -macopt",
        sub={"passwd": p(secret="-salt", places="1-")})),
    ("ssh-keygen", p(secret="-N -P")), ("plink pscp psftp putty", p(secret="-pw", is_long=True)),
    ("keytool jarsigner", p(is_long=True, plain="-storepasswd -keypasswd",
                            secret="-storepass -keypass -srcstorepass -deststorepass -new")),
    ("gpg gpg2", p(secret="--passphrase", plain="--recv-keys --recv-key --locate-keys --list-keys"
                   " --export --send-keys --list-secret-keys --export-secret-keys --default-key")),
    ("cryptsetup veracrypt", p(secret="-p --password")),
    ("htpasswd mosquitto_passwd", p(places="3-", after="-nb:2 -bn:2 -nbB:2 -nbm:2 -Bbn:2 -bnB:2"
                                    " -nBb:2 -nbs:2 -nb2:2 -nb5:2")),
    ("htdigest", p(places="4-")), ("mkpasswd argon2", p(places="1")),
    ("wpa_passphrase", p(places="2")), ("caddy", p(secret="-p --plaintext")),
    ("wpa_cli", p(after="psk:1 password:1 wep_key0:1")), ("iw iwconfig", p(after="key:1 enc:1")),
    ("useradd usermod groupadd groupmod newusers", _DASH_P),
    ("ldapsearch ldapadd ldapmodify ldapdelete ldapmodrdn ldapwhoami ldapcompare ldapexop",
     p(secret="-w", letters="HDbsfFTyYURXOzleEaSopPhd")),
    ("ldappasswd", p(secret="-w -a -s", letters="HDbyYURXOleoptPT")),
    ("dsconf dsidm dsctl ipa ipa-client-install adcli realm kadmin kadmin.local",
     p(secret="-w -pw --password")),
    ("radtest", p(places="2", after="radtest:2")), ("radclient", p(places="3")),
    ("smbpasswd", p(places="2")), ("expect", p(secret="-c")),
    ("grafana-cli grafana", p(after="reset-admin-password:1")),
    # Networks and machines
    ("snmpget snmpgetnext snmpwalk snmpbulkget snmpbulkwalk snmpset snmptrap snmpinform snmptable"
     " snmpdf snmpstatus snmpusm snmptranslate snmpbulk", p(secret="-A -X -c -Ka -Kx -3k -3K")),
    ("ipmitool", p(secret="-P -k -y", after="password:2")),
    ("ipmi-sensors ipmi-chassis ipmipower ipmi-sel ipmiconsole bmc-info", p(secret="-p -k")),
    ("iscsiadm", p(secret="-v --value")), ("nmcli", p(after="password:1 wep-key:1")),
    ("xfreerdp xfreerdp3 wlfreerdp", p(glued="/p: /pass: /gp:")),
    ("rdesktop vncviewer x11vnc", p(secret="-p -passwd")),
    ("hydra medusa ncrack patator crackmapexec nxc netexec evil-winrm", p(secret="-p -H")),
    ("gobuster knife", p(secret="-P")), ("nikto", p(login="-id")),
    ("virsh qemu-img qemu-nbd qemu-system-x86_64 qemu-system-aarch64 kvm qemu-kvm",
     p(secret="-object --object")),
    ("ceph rbd rados", p(secret="--key")), ("openconnect", p(secret="--cookie -C")),
    ("pppd", p(after="password:1")),
    # Queues
    ("rabbitmqctl", p(after="add_user:2 change_password:2 authenticate_user:2")),
    ("rabbitmqadmin", _DASH_P), ("mosquitto_pub mosquitto_sub mosquitto_rr", p(secret="-P --pw")),
    ("nats", p(secret="--password --nkey")),
    ("ejabberdctl prosodyctl", p(after="register:3 change_password:3 adduser:2 passwd:2")),
    # Clouds and clusters
    ("vault bao", p(
        sub={"login": p(places="1", all_pairs=True), "write": p(all_pairs=True),
             "put": p(all_pairs=True), "patch": p(all_pairs=True), "unseal": p(places="1"),
             "token": p(places="2"), "unwrap": p(places="1")})),
    ("consul", p(secret="-token", is_long=True, sub={"put": p(places="2")})),
    ("nomad", p(secret="-token", is_long=True)),
    ("aws", p(secret="--secret-string --value --master-user-password --secret-access-key",
              after="aws_secret_access_key:1 aws_session_token:1 aws_access_key_id:1")),
    ("az", p(secret="-p --password --value --account-key --sas-token --connection-string")),
    ("kubectl oc k3s microk8s.kubectl", p(pairs="--from-literal",
                                          sub={"login": _LOGIN,
                                               "exec": p(runs=1, takes="-c --container -n"
                                                         " --namespace --context --kubeconfig"),
                                               "run": p(runs=99, takes="-n --namespace --image"
                                                        " --env --labels -l")})),
    ("docker podman nerdctl buildah docker-compose podman-compose crictl", p(
        sub={"login": _LOGIN, "exec": p(runs=1, plain="-u --user", takes="-e --env -u --user -w"
                                      " --workdir --env-file --detach-keys --index"),
             **dict.fromkeys(("run", "create"), p(runs=1, plain="-u --user -p --publish", flags=(
                 "-d -i -t -it -ti -dit -itd -dt -td -di -P --rm --detach --interactive --tty"
                 " --init --privileged --read-only --no-healthcheck --publish-all --quiet -q"
                 " --oom-kill-disable --replace --no-deps --service-ports -T --use-aliases")))})),
    ("helm regctl crane oras cf fly flyctl ibmcloud twilio npm registry", p(
        sub={"login": p(secret="-p --password --apikey"), "auth": p(places="2")})),
    ("skopeo", p(login="--creds --src-creds --dest-creds")),
    ("doctl", p(secret="-t --access-token")), ("govc", p(login="-u")),
    ("ansible-vault", p(after="encrypt_string:1")), ("twine flit", _DASH_P),
    ("composer", p(after="config:3-")), ("airflow", p(sub={"users": _DASH_P})),
    ("add-user.sh jboss-cli.sh kcadm.sh asadmin fab", _DASH_P),
    ("solr", p(login="-credentials --credentials -u")),
))  # fmt: skip

_PATIENT = p(runs=0)

RUNNERS = table((
    ("sh bash dash zsh ksh ash mksh fish", p(runs=0, script="-c --command", takes="-o +o --rcfile"
                                            " --init-file -O +O")),
    ("if then else elif while until do ! time exec command builtin nohup setsid eatmydata"
     " docker-entrypoint.sh entrypoint.sh catatonit docker-init busybox proxychains proxychains4"
     " dbus-run-session xvfb-run ltrace dotenv with-contenv", _PATIENT),
    ("sudo", p(runs=0, takes="-u -g -h -p -C -T -r -t -U -D -R --user --group --prompt --host"
               " --chdir", plain="-p --prompt -u --user")),
    ("doas", p(runs=0, takes="-u -C")), ("su", p(script="-c --command")),
    ("runuser", p(runs=0, takes="-u -g -G", script="-c --command")),
    ("env", p(runs=0, takes="-u -C -S --unset --chdir", script="-S --split-string")),
    ("nice", p(runs=0, takes="-n")), ("ionice", p(runs=0, takes="-c -n")),
    ("timeout", p(runs=1, takes="-s -k --signal --kill-after")),
    ("taskset chrt gosu su-exec chroot setuidgid", p(runs=1)),
    ("stdbuf", p(runs=0, takes="-i -o -e")), ("cgexec", p(runs=0, takes="-g")),
    ("flock", p(runs=1, takes="-w -E", script="-c --command")),
    ("xargs parallel", p(runs=0, takes="-I -n -P -L -d -a -E -s -j")),
    ("find fd", p(commands="-exec -execdir -ok -okdir -x", plain="-path -name -newer")),
    ("watch", p(runs=0, takes="-n --interval", script="-x")),
    ("strace gdb valgrind perf", p(runs=0, takes="-e -o -s -E -u -a -p", plain="-p")),
    ("setpriv", p(runs=0, takes="--reuid --regid --groups")), ("unshare firejail", _PATIENT),
    ("nsenter", p(runs=0, takes="-t -S -G --target")),
    ("ip", p(sub={"exec": p(runs=1)})), ("tini", p(runs=0, takes="-p -e")),
    ("dumb-init", p(runs=0, takes="-r")),
    ("systemd-run systemd-cat", p(runs=0, takes="-p -u -t --unit --property --uid --gid --slice")),
    ("script", p(script="-c --command")),
    ("screen", p(runs=0, takes="-S -c -e -h -p -s -t -T -X", plain="-p")),
    ("tmux", p(plain="-p", sub=dict.fromkeys(("new", "new-session", "neww", "new-window"), p(
        runs=0, takes="-s -n -c -t -x -y -e")))),
    ("ssh autossh", p(runs=1, plain="-p -i -o", takes="-p -i -l -o -L -R -D -F -J -b -c -E -e -I -m"
                      " -O -Q -S -W -w -B")),
    ("sshpass", p(secret="-p", runs=0, takes="-f -d -P")),
    ("poetry pipenv uv conda rye pdm hatch yarn pnpm bun doppler dotenvx direnv mise asdf", p(
        sub={"run": _PATIENT, "exec": _PATIENT, "publish": _DASH_P})),
    ("npx bunx uvx pipx", _PATIENT), ("bundle", p(sub={"exec": _PATIENT})),
    ("aws-vault chamber", p(sub={"exec": p(runs=1)})),
    ("lxc incus machinectl", p(sub={"exec": p(runs=1), "shell": p(runs=1)})),
    ("lxc-attach", p(runs=0, takes="-n --name")),
    ("runc crun ctr", p(sub={"exec": p(runs=1, takes="--exec-id -u --user -e --env --cwd -p"
                                       " --process --pid-file")})),
    ("python python2 python3 pypy pypy3", p(runs=0, takes="-W -X -c", commands="-m")),
    ("node nodejs deno", p(runs=0, takes="-e --eval -r --require -p --print", plain="-p")),
    ("ruby perl", p(runs=0, takes="-e -I -r", plain="-p")), ("php", p(runs=0, takes="-d -r -c")),
    ("java", p(runs=0, takes="-cp -classpath --class-path -p --module-path", commands="-jar -m"
               " --module", plain="-p")),
))  # fmt: skip

# ``-p`` is a port, a process, a profile, a path to these.
_PLAIN_P = p(plain="-p -P -w")

INNOCENT = table((
    ("ps mkdir cp tar nc ncat socat install rsync patch lsof top htop kill pytest"
     " uwsgi gunicorn puma rails nginx apache2 httpd postgres php-fpm sysctl iptables ip6tables"
     " git make cmake mvn gradle pgrep mpirun jupyter flask uvicorn serve http-server nmap masscan"
     " traceroute tcpdump df du mosh scp sftp less man passwd cat touch chmod dotnet"
     " cargo go tsc webpack vite next hugo jekyll locust sed awk", _PLAIN_P),
    ("sort", p(plain="-k --key")), ("grep egrep fgrep rg ag zgrep", p(plain="-P -w -e --regexp")),
    ("journalctl systemctl apt apt-get dnf yum apk pip pip3", _PLAIN_P),
))  # fmt: skip

PROGRAMS = {**INNOCENT, **RUNNERS, **SECRETIVE}

SEARCHERS = frozenset(
    [
        "grep",
        "egrep",
        "fgrep",
        "rg",
        "ag",
        "zgrep",
        "find",
        "man",
        "getent",
        "which",
        "sed",
        "awk",
        "cat",
        "ls",
        "echo",
        "passwd",
    ]
)
"""To these a word like "password" is a word."""

READS_STDIN = frozenset(
    [
        "--password-stdin",
        "--stdin",
        "--passphrase-fd",
        "--with-token",
        "chpasswd",
        "cryptsetup",
        "luksOpen",
        "smbpasswd",
        "passwd",
        "kinit",
        "pw",
        "htpasswd",
        "vault",
        "sudo",
        "su",
        "gpg",
        "openssl",
        "base64",
        "ecryptfs-add-passphrase",
        "pass",
        "mysql_config_editor",
        "secret-tool",
        "veracrypt",
        "restic",
        "borg",
        "mkpasswd",
        "argon2",
        "rclone",
    ]
)
"""What is echoed into a command with one of these words is likely a secret."""

_INTERPRETED = (".py", ".js", ".mjs", ".rb", ".pl", ".php", ".exe")


def stem_of(word: str) -> str:
    """Name a program as the table does: without its directory, version and language."""
    name = word.rpartition("/")[2].removeprefix("-")
    if name in PROGRAMS:
        return name
    if name.endswith(_INTERPRETED):
        for suffix in _INTERPRETED:
            name = name.removesuffix(suffix)
    bare = name.rstrip("0123456789.")
    return bare if bare in PROGRAMS else name


def is_given_secrets(name: str) -> bool:
    """Whether the arguments of a program, or of one that it runs, may be secrets."""
    entry = PROGRAMS.get(name)
    return entry is not None and bool(
        entry.secret or entry.login or entry.glued or entry.script or entry.after or entry.sub
    )
