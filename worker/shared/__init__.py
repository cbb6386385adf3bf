"""What every process of the service shares; it imports no other room. Settings and how they are read (`configuration`), what
processes say to each other (`ipc`), what others wrote (`foreign`), the process and its machine (`system`)."""
