"""Everything at once, to look at: control plane, gateway, backend, listener, client certificate."""
