"""From measures to a prompt: rules as data, and the pure steps that apply them."""
