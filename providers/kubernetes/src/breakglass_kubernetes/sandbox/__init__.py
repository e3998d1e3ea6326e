"""A real control plane on loopback, for drills and tests: etcd, kube-apiserver, kube-controller-manager.

What runs pods is a stub: it gives them nodes, a status, logs and an end, and no process. So nothing here can
show that a CNI drops a packet or that a container obeys a signal.
"""
