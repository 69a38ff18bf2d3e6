complete -c qc-top -l socket -d 'Ask the relay at this admin socket' -r -F
complete -c qc-top -s n -l count -d 'End after this many updates (0 = never; 1 with --batch or without a terminal)' -r
complete -c qc-top -l interval -d 'Ask for new numbers this often' -r
complete -c qc-top -l filter -d 'Show only nodes that pass, such as \'site=site-1* & backlog>1000 & state!=ok\'' -r
complete -c qc-top -l sort -d 'Sort by this column' -r -f -a "severity\t'Worst state first, then the largest backlog'
name\t'Name'
site\t'Site, then name'
backlog\t'Largest backlog first'
oldest\t'Oldest waiting message first'
in\t'Most incoming first'
out\t'Most outgoing first'
disk\t'Fullest disk first'
cert\t'Certificate that ends soonest first'
version\t'Version'"
complete -c qc-top -l view -d 'Start with this view' -r -f -a "fleet\t'Every node, the worst first'"
complete -c qc-top -s o -l output -d 'Print results in this format' -r -f -a "text\t'Columns for people'
wide\t'Columns for people, all of them'
json\t'One JSON object with a versioned schema'
jsonl\t'One JSON object a line'
openmetrics\t'OpenMetrics text'"
complete -c qc-top -l color -d 'Colour the output' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c qc-top -l timeout -d 'Give up after this time, such as 90s or 5m' -r
complete -c qc-top -s c -l config -d 'Read this configuration file' -r -F
complete -c qc-top -s b -l batch -d 'Print pages of text instead of a live view'
complete -c qc-top -l reverse -d 'Sort the other way round'
complete -c qc-top -l ascii -d 'Use no character outside ASCII'
complete -c qc-top -l linear -d 'Print a sentence for each change, for screen readers and simple terminals'
complete -c qc-top -l json -d 'Print results as JSON, same as --output json'
complete -c qc-top -l no-headers -d 'Print tables without their header'
complete -c qc-top -s q -l quiet -d 'Print errors only'
complete -c qc-top -s v -l verbose -d 'Log more (can be repeated)'
complete -c qc-top -l no-input -d 'Never ask; fail instead'
complete -c qc-top -s h -l help -d 'Print help (see more with \'--help\')'
complete -c qc-top -s V -l version -d 'Print version'
