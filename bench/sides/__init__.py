"""Who is compared: this service and its peers, each as something that is started, looked at, killed and rolled."""
