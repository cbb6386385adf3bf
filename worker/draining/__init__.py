"""How a process, or a partition, ends in order: who wants it (`stopping`), how what runs is finished (`settling`), and what
follows when the whole process ends (`ending`)."""
