"""Whose a container is, by what its manager wrote on it."""

from __future__ import annotations

from tests.support.containers import cri_annotations
from tracer.containers.annotations import Owner, read_labels, read_owner


def test_containerds_cri_names_container_and_pod() -> None:
    assert read_owner(cri_annotations("web", "shop/front-1")) == Owner(
        "cri", names=("web",), pod="shop/front-1"
    )


def test_a_sandbox_has_a_pod_and_no_name() -> None:
    assert read_owner(cri_annotations("web", "shop/front-1", kind="sandbox")) == Owner(
        "cri", pod="shop/front-1"
    )


def test_crio_names_container_and_pod() -> None:
    annotations = {
        "io.container.manager": "cri-o",
        "io.kubernetes.container.name": "web",
        "io.kubernetes.pod.name": "front-1",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.cri-o.ContainerType": "container",
        "org.opencontainers.image.stopSignal": "SIGQUIT",
    }
    assert read_owner(annotations) == Owner("cri", names=("web",), pod="shop/front-1", stop_signo=3)
    sandbox = annotations | {"io.kubernetes.cri-o.ContainerType": "sandbox"}
    assert read_owner(sandbox).names == ()


def test_podman_is_known_by_its_manager() -> None:
    annotations = {
        "io.container.manager": "libpod",
        "io.kubernetes.cri-o.TTY": "false",
        "org.opencontainers.image.stopSignal": "3",
    }
    assert read_owner(annotations) == Owner("podman", stop_signo=3)


def test_nerdctl_names_its_containers() -> None:
    annotations = {
        "nerdctl/name": "web",
        "nerdctl/namespace": "default",
        "nerdctl/stop-timeout": "7",
    }
    assert read_owner(annotations) == Owner("containerd", names=("web",), stop_timeout_s=7.0)


def test_cri_dockerds_labels_name_container_and_pod() -> None:
    labels = {
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.container.name": "web",
        "io.kubernetes.pod.name": "front-1",
        "io.kubernetes.pod.namespace": "shop",
    }
    assert read_labels(labels) == Owner("cri", names=("web",), pod="shop/front-1")
    assert read_labels(labels | {"io.kubernetes.docker.type": "podsandbox"}).names == ()
    assert read_labels({"com.example.vendor": "x"}) == Owner(None)


def test_a_container_without_a_manager_is_no_ones() -> None:
    assert read_owner({}) == Owner(None)
    assert read_owner({"org.opencontainers.image.stopSignal": "SIGRTMIN+3"}) == Owner(
        None, stop_signo=37
    )


def test_a_stop_signal_that_does_not_exist_is_unknown() -> None:
    for text in ("", "SIGNOPE", "0", "999", "\x1b"):
        assert read_owner({"org.opencontainers.image.stopSignal": text}) == Owner(None)
