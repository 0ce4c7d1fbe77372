%% eredis, for Erlang (and what Elixir's clients learned from).

main([_Mode, Host, Port, Prefix | _]) ->
    {ok, C} = eredis:start_link(Host, list_to_integer(Port)),
    Key = fun(Name) -> Prefix ++ ":" ++ Name end,
    {ok, Pong} = eredis:q(C, ["PING"]),
    tell("ping", Pong),
    Binary = <<97, 0, 13, 10, 255, 36, 42>>,
    {ok, _} = eredis:q(C, ["SET", Key("binary"), Binary]),
    {ok, Back} = eredis:q(C, ["GET", Key("binary")]),
    tell("binary", [io_lib:format("~2.16.0b", [B]) || <<B>> <= Back]),
    {ok, undefined} = eredis:q(C, ["GET", Key("missing")]),
    tell("missing", "nil"),
    Replies = eredis:qp(C, [["INCR", Key("counter")] || _ <- lists:seq(1, 1000)]),
    {ok, Last} = lists:last(Replies),
    tell("pipeline", Last),
    {ok, _} = eredis:q(C, ["RPUSH", Key("list"), 1, 2, 3]),
    {ok, List} = eredis:q(C, ["LRANGE", Key("list"), 0, -1]),
    tell("list", lists:join(",", List)),
    {error, Message} = eredis:q(C, ["INCR", Key("list")]),
    tell("error", hd(string:split(Message, " "))),
    {ok, _} = eredis:q(C, ["MULTI"]),
    {ok, _} = eredis:q(C, ["SET", Key("number"), 1]),
    {ok, _} = eredis:q(C, ["INCR", Key("number")]),
    {ok, Done} = eredis:q(C, ["EXEC"]),
    tell("transaction", lists:join(",", Done)),
    Right = [N || N <- lists:seq(0, 499),
                  {ok, <<"OK">>} =:= eredis:q(C, ["SET", Key("spread:" ++ integer_to_list(N)), N]),
                  {ok, integer_to_binary(N)} =:= eredis:q(C, ["GET", Key("spread:" ++ integer_to_list(N))])],
    tell("spread", integer_to_list(length(Right))).

tell(Name, Value) -> io:format("~s=~s~n", [Name, Value]).
