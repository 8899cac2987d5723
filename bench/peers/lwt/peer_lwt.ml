(* SPDX-License-Identifier: MIT *)
(* The cases of fermata-bench on Lwt, as its users write them. *)

let ( >>= ) = Lwt.bind
let timing = 0.7
let now = Unix.gettimeofday
let print figure kind value = Printf.printf "%s %s %.6g\n%!" figure kind value

let median l =
  let a = Array.of_list l in
  Array.sort compare a;
  a.(Array.length a / 2)

(* Calls [round measures] until the time is over, first to warm up. *)
let repeat round =
  List.iter
    (fun (measures, time) ->
      let begun = now () in
      let rec go () =
        round measures;
        if now () -. begun < time then go ()
      in
      go ())
    [ (false, timing /. 5.); (true, timing) ]

let seconds_of f =
  let begun = now () in
  f ();
  now () -. begun

let ns_an_operation operations batch =
  let samples = ref [] in
  repeat (fun measures ->
      let s = seconds_of batch in
      if measures then samples := (s *. 1e9 /. float operations) :: !samples);
  median !samples

let run f = Lwt_main.run (f ())

(* c1 *)
let rec await_often p n sum =
  if n = 0 then Lwt.return sum else p >>= fun v -> await_often p (n - 1) (sum + v)

let rec await_fresh n sum =
  if n = 0 then Lwt.return sum
  else Lwt.return 1 >>= fun v -> await_fresh (n - 1) (sum + v)

let rec chain p n = if n = 0 then p else chain (p >>= fun v -> Lwt.return (v + 1)) (n - 1)

let settled () =
  let n = 20_000 in
  let one = Lwt.return (Sys.opaque_identity 1) in
  let steps = 1000 in
  let check v = assert (v = steps) in
  print "c1_resolve_bind" "ns"
    (ns_an_operation n (fun () -> assert (run (fun () -> await_often one n 0) = n)));
  print "c1_fresh" "ns"
    (ns_an_operation n (fun () -> assert (run (fun () -> await_fresh n 0) = n)));
  print "c1_bind" "ns"
    (ns_an_operation (20 * steps) (fun () ->
         for _ = 1 to 20 do check (run (fun () -> chain (Lwt.return 0) steps)) done));
  print "c1_chain1000" "ns"
    (ns_an_operation (20 * steps) (fun () ->
         for _ = 1 to 20 do
           let head, settle = Lwt.wait () in
           let last = chain head steps in
           Lwt.wakeup_later settle 0;
           check (run (fun () -> last))
         done))

(* c2 *)
let pending () =
  let at_once = 64 and rounds = 40 in
  let settle = Array.make at_once (snd (Lwt.wait ())) in
  let sum = ref 0 in
  let one_round () =
    let last = ref Lwt.return_unit in
    for i = 0 to at_once - 1 do
      let p, u = Lwt.wait () in
      (last := p >>= fun v -> sum := !sum + v; Lwt.return_unit);
      settle.(i) <- u
    done;
    Array.iter (fun u -> Lwt.wakeup_later u 1) settle;
    !last
  in
  let rec go n = if n = 0 then Lwt.return_unit else one_round () >>= fun () -> go (n - 1) in
  print "c2_pending_bind" "ns"
    (ns_an_operation (at_once * rounds) (fun () ->
         sum := 0;
         run (fun () -> go rounds);
         assert (!sum = at_once * rounds)))

(* c3 *)
let rec pause_often n =
  if n = 0 then Lwt.return_unit else Lwt.pause () >>= fun () -> pause_often (n - 1)

let pauses () =
  let alone = 1000 and tasks = 1000 and each = 50 in
  print "c3_pause1" "ns" (ns_an_operation alone (fun () -> run (fun () -> pause_often alone)));
  print "c3_pause1000" "ns"
    (ns_an_operation (tasks * each) (fun () ->
         run (fun () -> Lwt.join (List.init tasks (fun _ -> pause_often each)))))

(* c4 *)
let halve a =
  let m = Array.length a / 2 in
  (Array.sub a 0 m, Array.sub a m (Array.length a - m))

let merge (l : int array) (r : int array) =
  let nl = Array.length l and nr = Array.length r in
  let out = Array.make (nl + nr) 0 in
  let i = ref 0 and k = ref 0 in
  for at = 0 to nl + nr - 1 do
    if !k = nr || (!i < nl && l.(!i) <= r.(!k)) then (out.(at) <- l.(!i); incr i)
    else (out.(at) <- r.(!k); incr k)
  done;
  out

let rec sort_plain a =
  if Array.length a < 2 then a
  else
    let l, r = halve a in
    let l = sort_plain l in
    merge l (sort_plain r)

let rec sort_task yields a =
  if Array.length a < 2 then Lwt.return a
  else
    let l, r = halve a in
    let l = sort_task yields l in
    let r = sort_task yields r in
    Lwt.both l r >>= fun (l, r) ->
    if yields then Lwt.pause () >>= fun () -> Lwt.return (merge l r)
    else Lwt.return (merge l r)

let ratio yields n =
  let seed = ref 4711 in
  let next () = seed := !seed * 48271 mod 2147483647; !seed mod 1_000_000 in
  let input = Array.init n (fun _ -> next ()) in
  let expected = Array.copy input in
  Array.sort compare expected;
  let times = max 1 (2000 / n) in
  let plain = ref [] and tasks = ref [] in
  let sorted = ref [||] in
  let rec often i =
    if i = 0 then Lwt.return_unit
    else sort_task yields input >>= fun s -> sorted := s; often (i - 1)
  in
  repeat (fun measures ->
      let p = seconds_of (fun () -> for _ = 1 to times do sorted := sort_plain input done) in
      assert (!sorted = expected);
      let t = seconds_of (fun () -> run (fun () -> often times)) in
      assert (!sorted = expected);
      if measures then (plain := p :: !plain; tasks := t :: !tasks));
  median !tasks /. median !plain

let sort () =
  List.iter
    (fun (prefix, yields) ->
      List.iter
        (fun (name, n) -> print (prefix ^ name) "ratio" (ratio yields n))
        [ ("_10", 10); ("_1000", 1000); ("_100k", 100_000) ])
    [ ("c4_ratio", false); ("c4_ratioy", true) ]

(* c5 *)
let join () =
  let members = 1000 in
  print "c5_join1000" "ns"
    (ns_an_operation (5 * members) (fun () ->
         for _ = 1 to 5 do
           let made = List.init members (fun _ -> Lwt.wait ()) in
           let joined = Lwt.join (List.map fst made) in
           List.iter (fun (_, u) -> Lwt.wakeup_later u ()) made;
           run (fun () -> joined)
         done))

(* c6: what Lwt has of 1 place is the mvar, of 64 the bounded push stream *)
let queue () =
  let items = 2000 in
  let expected = items * (items - 1) / 2 in
  let mvar () =
    let m = Lwt_mvar.create_empty () in
    let rec produce i =
      if i = items then Lwt.return_unit else Lwt_mvar.put m i >>= fun () -> produce (i + 1)
    in
    let rec consume i sum =
      if i = items then Lwt.return sum
      else Lwt_mvar.take m >>= fun v -> consume (i + 1) (sum + v)
    in
    let sum = consume 0 0 in
    produce 0 >>= fun () -> sum
  in
  let stream () =
    let from, push = Lwt_stream.create_bounded 64 in
    let rec produce i =
      if i = items then (push#close; Lwt.return_unit)
      else push#push i >>= fun () -> produce (i + 1)
    in
    let sum = Lwt_stream.fold ( + ) from 0 in
    produce 0 >>= fun () -> sum
  in
  print "c6_q1" "ns" (ns_an_operation items (fun () -> assert (run mvar = expected)));
  print "c6_q64" "ns" (ns_an_operation items (fun () -> assert (run stream = expected)))

(* c7 *)
let detach () =
  Lwt_preemptive.set_bounds (2, 2);
  let rec in_turn n x =
    if n = 0 then Lwt.return x else Lwt_preemptive.detach succ x >>= in_turn (n - 1)
  in
  let alone = 200 and lanes = 64 and each = 200 in
  let ns = ns_an_operation alone (fun () -> assert (run (fun () -> in_turn alone 0) = alone)) in
  print "c7_lat" "us" (ns /. 1e3);
  let ns =
    ns_an_operation (lanes * each) (fun () ->
        ignore (run (fun () -> Lwt.all (List.init lanes (fun _ -> in_turn each 0)))))
  in
  print "c7_pipe64" "jobs/s" (1e9 /. ns)

(* c9 *)
let resident_bytes () =
  let c = open_in "/proc/self/statm" in
  let pages = Scanf.sscanf (input_line c) "%d %d" (fun _ p -> p) in
  close_in c;
  float (pages * 4096)

let sleepers () =
  let count = 100_000 in
  let create = ref [] and cancel = ref [] and bytes = ref 0. in
  let tasks = Array.make count Lwt.return_unit in
  repeat (fun measures ->
      Gc.compact ();
      let before = resident_bytes () in
      let created =
        seconds_of (fun () ->
            for i = 0 to count - 1 do
              tasks.(i) <- (Lwt_unix.sleep 3600. >>= fun () -> Lwt.return_unit)
            done)
      in
      if !bytes = 0. then bytes := (resident_bytes () -. before) /. float count;
      let cancelled =
        seconds_of (fun () ->
            Array.iter Lwt.cancel tasks;
            run Lwt.pause)
      in
      if measures then (
        create := (created *. 1e9 /. float count) :: !create;
        cancel := (cancelled *. 1e9 /. float count) :: !cancel));
  print "c9_create" "ns" (median !create);
  print "c9_cancel" "ns" (median !cancel);
  print "c9_bytes" "B" !bytes

(* c12 *)
let hogs prefix count =
  let work = try float_of_string (Sys.getenv "HOG_SECONDS") with Not_found -> 10. in
  let random = Random.State.make [| 4711 |] in
  let running = ref count and late = ref [] in
  let begun = now () in
  let rec hog left =
    if left <= 0. then (decr running; Lwt.return_unit)
    else
      let piece = min left (0.0007 +. Random.State.float random 0.0006) in
      let stop = now () +. piece in
      while now () < stop do () done;
      Lwt.pause () >>= fun () -> hog (left -. piece)
  in
  let rec tick due =
    if !running = 0 then Lwt.return_unit
    else
      let wait = due -. now () in
      (if wait > 0. then Lwt_unix.sleep wait else Lwt.return_unit) >>= fun () ->
      late := ((now () -. due) *. 1e6) :: !late;
      tick (due +. 0.001)
  in
  let ticker = tick (begun +. 0.001) in
  run (fun () -> Lwt.join (ticker :: List.init count (fun _ -> hog (work /. float count))));
  let wall = now () -. begun in
  let sorted = Array.of_list !late in
  Array.sort compare sorted;
  let at q = sorted.(int_of_float ((float (Array.length sorted - 1) *. q) +. 0.5)) in
  print (prefix ^ "_p50") "us" (at 0.5);
  print (prefix ^ "_p99") "us" (at 0.99);
  print (prefix ^ "_max") "us" (at 1.);
  print (prefix ^ "_stretch") "ratio" (wall /. work)

let serve_echo port =
  let address = Unix.(ADDR_INET (inet_addr_loopback, port)) in
  let listener = Lwt_unix.(socket PF_INET SOCK_STREAM 0) in
  Lwt_unix.setsockopt listener Unix.SO_REUSEADDR true;
  let rec talk client buffer =
    Lwt_unix.read client buffer 0 4096 >>= function
    | 0 -> Lwt_unix.close client
    | n -> write client buffer 0 n
  and write client buffer at n =
    if n = 0 then talk client buffer
    else
      Lwt_unix.write client buffer at n >>= fun written ->
      write client buffer (at + written) (n - written)
  in
  let rec accept () =
    Lwt_unix.accept listener >>= fun (client, _) ->
    Lwt_unix.setsockopt client Unix.TCP_NODELAY true;
    Lwt.async (fun () -> Lwt.catch (fun () -> talk client (Bytes.create 4096)) (fun _ -> Lwt.return_unit));
    accept ()
  in
  run (fun () ->
      Lwt_unix.bind listener address >>= fun () ->
      Lwt_unix.listen listener 1024;
      print_endline "ready";
      accept ())

let cases =
  [ ("c1", settled); ("c2", pending); ("c3", pauses); ("c4", sort); ("c5", join);
    ("c6", queue); ("c7", detach); ("c9", sleepers);
    ("c12", fun () -> hogs "c12" 1); ("c12m", fun () -> hogs "c12m" 20) ]

let () =
  match Array.to_list Sys.argv with
  | [ _; "list" ] -> List.iter (fun (name, _) -> print_endline name) cases
  | [ _; "serve-echo"; port ] -> serve_echo (int_of_string port)
  | [ _; name ] when List.mem_assoc name cases -> (List.assoc name cases) ()
  | _ ->
    prerr_endline "usage: peer-lwt list | <case> | serve-echo <port>";
    exit 2
