/**
 * What systemd does for a socket unit, in a few lines of Perl: listens on loopback ports, hands the sockets over as descriptors 3 and up,
 * and becomes the program, so that nobody else holds them. Tells each in a line of JSON like the log's own: event `handed.over`, name, port.
 */
const MANAGER = `
use Socket;
use POSIX ();
$^F = 255;
my ($names, @command) = @ARGV;
my ($descriptor, @kept) = (3);
for my $name (split /:/, $names) {
  socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
  bind($socket, sockaddr_in(0, INADDR_LOOPBACK)) or die "bind: $!";
  listen($socket, 128) or die "listen: $!";
  my ($port) = sockaddr_in(getsockname($socket));
  print STDERR qq({"event":"handed.over","name":"$name","port":$port}\\n);
  POSIX::dup2(fileno($socket), $descriptor++);
  push @kept, $socket;
}
@ENV{qw(LISTEN_PID LISTEN_FDS LISTEN_FDNAMES)} = ($ENV{SLUICE_TEST_LISTEN_PID} || $$, scalar @kept, $names);
exec @command or die "exec: $!";
`;

/** The command that starts another one with a listening socket for each of these names. */
export function withSockets(names: readonly string[], command: readonly string[]): string[] {
  return ["perl", "-e", MANAGER, names.join(":"), ...command];
}
